"""Weight decay and the training error."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

WEIGHT_DECAY = Experiment(
    name="weight-decay",
    claim="A little weight decay does not only regularise: the net also errs less on the very "
    "pictures it was trained on.",
    source="Paper, section 5",
    expected="no figure is printed: decay of 0.0005 lowers the training error",
    limits="On CIFAR-10 with a narrow AlexNet and He's first weights. The paper trained for 90 "
    "epochs of 1.2 million pictures, which gives the decay some 90 times as many steps to work in "
    "as the full run here.",
    measure="train_error",
    arms=(Arm(name="decay"), Arm(name="no-decay", changes={"optimizer.weight_decay": 0.0})),
    comparisons=(
        Comparison(
            name="decay lowers the training error",
            better=("decay",),
            worse=("no-decay",),
            at_least=0.002,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.SMALL_ALEXNET, 500, 100), epochs=12),
            rates=bases.PAPER_RATES,
            tuning_epochs=6,
            tuning_per_class=300,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "full": Protocol(
            base=replace(bases.pictures(bases.SMALL_ALEXNET, 2000, 100), epochs=30),
            seeds=4,
            rates=bases.PAPER_RATES,
            tuning_epochs=10,
            tuning_per_class=1000,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "imagenet": bases.IMAGENET,
    },
)
