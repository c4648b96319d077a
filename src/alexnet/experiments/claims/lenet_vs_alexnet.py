"""AlexNet against LeNet-5."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

LENET_VS_ALEXNET = Experiment(
    name="lenet-vs-alexnet",
    claim="A net like AlexNet (five convolutions, many channels, ReLU) has a lower error on "
    "natural images than LeNet-5.",
    source="The tutorial's comparison of the two; Paper, section 1",
    expected="no number: the paper did not train a LeNet",
    limits="On CIFAR-10, both nets with color inputs and the same crops; for AlexNet they are "
    "scaled up to 67 pixels, its smallest input. AlexNet is the batch-norm net at a fraction of "
    "its width. It still has many times the parameters of LeNet-5: the experiment compares two "
    "designs, not nets of equal size. Both have 12 epochs, after which the training error of "
    "LeNet-5 is still 48 %; more epochs would lower its errors.",
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
            name="AlexNet has a lower error than LeNet-5",
            better=("alexnet",),
            worse=("lenet",),
            min_effect=0.05,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.limit_per_class(bases.NARROW_BN, 500, 30), epochs=8),
            lr_grid=bases.ADAMW_LRS,
            tuning_epochs=4,
            tuning_train_per_class=300,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_BN, 1000, 100), epochs=12),
            lr_grid=bases.ADAMW_LRS,
            tuning_epochs=4,
            tuning_train_per_class=500,
            tuning_val_fraction=0.04,
        ),
    },
)
