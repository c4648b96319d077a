"""LeNet-5 against an AlexNet."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

LENET_VS_ALEXNET = Experiment(
    name="lenet-vs-alexnet",
    claim="A net of AlexNet's kind (five convolutions, many maps, ReLU) errs less on natural "
    "pictures than LeNet-5.",
    source="The tutorial's comparison of the two; Paper, section 1",
    expected="no figure: the paper did not train a LeNet",
    limits="On CIFAR-10, both nets in colour, on the same crops; AlexNet's are scaled up to the 67 "
    "pixels it needs at least. It is the batch-norm net at a fraction of its width, and it still "
    "has many times the parameters: this compares the two designs, not equal sizes.",
    measure="test_error",
    arms=(
        Arm(name="alexnet"),
        Arm(
            name="lenet",
            changes={
                "arch": "lenet5",
                "model.channels": 3,
                "model.width": 1.0,
                "model.input_size": 32,
            },
        ),
    ),
    comparisons=(
        Comparison(
            name="AlexNet errs less than LeNet-5",
            better=("alexnet",),
            worse=("lenet",),
            at_least=0.05,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.NARROW_BN, 1000, 300), epochs=12),
            rates=bases.ADAM_RATES,
            tuning_epochs=4,
            tuning_per_class=500,
            tuning_share=0.04,
            pictures_per_second=bases.NARROW_BN_SPEED,
            arm_speeds={"lenet": 8_000},
        ),
        "full": Protocol(
            base=replace(bases.SMALL_BN, epochs=12),
            rates=bases.ADAM_RATES,
            tuning_epochs=5,
            tuning_per_class=1000,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_BN_SPEED,
            arm_speeds={"lenet": 8_000},
        ),
    },
)
