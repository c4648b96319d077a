"""Weight decay and the training error."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

WEIGHT_DECAY = Experiment(
    name="weight-decay",
    claim="A small weight decay is not only a regularizer: it also lowers the error on the "
    "training images.",
    source="Paper, section 5",
    expected="no number: weight decay of 0.0005 lowers the training error",
    limits="On CIFAR-10 with a narrow AlexNet and He initialization. The paper trained for 90 "
    "epochs of 1.2 million images, so its weight decay acted for some 90 times as many steps as "
    "in the full run here.",
    measure="train_error",
    arms=(
        Arm(name="weight-decay"),
        Arm(name="no-weight-decay", changes={"optimizer.weight_decay": 0.0}),
    ),
    comparisons=(
        Comparison(
            name="weight decay lowers the training error",
            better=("weight-decay",),
            worse=("no-weight-decay",),
            min_effect=0.002,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 400, 30), epochs=8),
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=4,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 1000, 100), epochs=15),
            num_seeds=5,
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=4,
            tuning_train_per_class=800,
            tuning_val_fraction=0.04,
        ),
        "imagenet": bases.IMAGENET,
    },
)
