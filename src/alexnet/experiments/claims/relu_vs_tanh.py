"""ReLU against tanh: epochs until a four-layer net has learned CIFAR-10."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.recipe import LRSchedule, StoppingOptions
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

STEADY = replace(bases.FOUR_LAYERS, schedule=LRSchedule())
NARROW = replace(bases.NARROW_FOUR_LAYERS, schedule=LRSchedule())

RELU_VS_TANH = Experiment(
    name="relu-vs-tanh",
    claim="A convolutional net with ReLUs needs several times fewer epochs to reach a given "
    "training error than the same net with tanh units.",
    source="Paper, section 3.1 and figure 1",
    expected="ReLU reaches 25 % training error on CIFAR-10 in a sixth of the epochs",
    limits="The data and the kind of net are the paper's. The paper says of its net only that it "
    "has four layers, so the nearest net of the 2012 code is used, without that net's weight "
    "decay of 1 in the last layer. Measured are the epochs until the running training error is 25 "
    "% (quick: 55 %). The mean error of an epoch is assigned to the middle of the epoch and "
    "interpolated linearly. An arm that does not reach the target within its epochs gives a lower "
    "bound.",
    measure="epochs_to_error",
    arms=(
        Arm(name="relu"),
        Arm(name="tanh", changes={"model.activation": "tanh"}),
        Arm(name="sigmoid", changes={"model.activation": "sigmoid"}),
    ),
    comparisons=(
        Comparison(
            name="tanh needs more epochs than ReLU",
            better=("relu",),
            worse=("tanh",),
            scale="ratio",
            min_effect=2.0,
            expected=6.0,
        ),
        Comparison(
            name="sigmoid needs more epochs than ReLU",
            better=("relu",),
            worse=("sigmoid",),
            scale="ratio",
            min_effect=2.0,
            is_primary=False,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(
                bases.limit_per_class(NARROW, 800, 50),
                epochs=12,
                stopping=StoppingOptions(target_train_error=0.55),
            ),
            lr_grid=bases.PIXEL_SCALE_LRS,
            tuning_epochs=3,
            tuning_train_per_class=500,
            tuning_val_fraction=0.04,
            arm_epochs={"sigmoid": 4},
        ),
        "full": Protocol(
            base=replace(
                bases.limit_per_class(STEADY, None, 100),
                epochs=24,
                batch_size=128,
                stopping=StoppingOptions(target_train_error=0.25),
            ),
            lr_grid=(*bases.PIXEL_SCALE_LRS, 0.03),
            tuning_epochs=4,
            tuning_train_per_class=1000,
            tuning_val_fraction=0.04,
            arm_epochs={"relu": 12, "sigmoid": 4},
        ),
    },
)
