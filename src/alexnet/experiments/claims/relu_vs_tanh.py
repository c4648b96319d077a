"""ReLU against tanh: epochs until a four-layer net has learned CIFAR-10."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.recipe import LRSchedule, StoppingOptions
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

# The caption of figure 1: no regularization of any kind. The 2012 code decays the weights.
STEADY = replace(
    bases.FOUR_LAYERS,
    schedule=LRSchedule(),
    optimizer=replace(bases.FOUR_LAYERS.optimizer, weight_decay=0.0),
)
NARROW = replace(STEADY, model=bases.NARROW_FOUR_LAYERS.model)

RELU_VS_TANH = Experiment(
    name="relu-vs-tanh",
    claim="A convolutional net with ReLUs needs several times fewer epochs to reach a given "
    "training error than the same net with tanh units.",
    source="Paper, section 3.1 and figure 1",
    expected="ReLU reaches 25 % training error on CIFAR-10 in a sixth of the epochs",
    limits="The data, the absence of any regularization and the kind of net are the paper's. It "
    "says of its net only that it has four layers, so the nearest net of the 2012 code is used, "
    "without weight decay. Measured are the epochs until the running training error is 25 % "
    "(quick: 55 %). The mean error of an epoch is assigned to the middle of the epoch and "
    "interpolated linearly. An arm that does not reach the target within its epochs gives a lower "
    "bound. Tanh took 43 epochs here and about 36 in the paper's figure, ReLU about 6 in both. The "
    "sigmoid was stopped after 15 epochs, which gives only a bound, and its learning rate was not "
    "tuned. Response norm has the learning rate of the net without it, and was tried with ReLU "
    "only: outputs of tanh are below 1, so that the norm's divisor is nearly constant. A "
    "normalization that subtracts the local mean is not built here.",
    measure="epochs_to_error",
    arms=(
        Arm(name="relu"),
        Arm(name="tanh", changes={"model.activation": "tanh"}),
        Arm(name="sigmoid", changes={"model.activation": "sigmoid"}),
        Arm(name="relu-with-norm", changes={"model.norm": "response"}, lr_from="relu"),
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
        Comparison(
            name="ReLU needs more epochs without response normalization",
            better=("relu-with-norm",),
            worse=("relu",),
            scale="ratio",
            min_effect=1.1,
            is_primary=False,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(
                bases.limit_per_class(NARROW, 500, 30),
                epochs=12,
                stopping=StoppingOptions(target_train_error=0.55),
            ),
            lr_grid=bases.FOUR_LAYER_LRS,
            arm_lr_grids={"sigmoid": (0.03,)},
            arm_epochs={"sigmoid": 4},
            arms=("relu", "tanh", "sigmoid"),
        ),
        "full": Protocol(
            base=replace(
                bases.limit_per_class(STEADY, None, 100),
                epochs=100,
                batch_size=128,
                stopping=StoppingOptions(target_train_error=0.25),
            ),
            lr_grid=bases.FOUR_LAYER_LRS,
            arm_lr_grids={"tanh": (0.01, 0.003, 0.03), "sigmoid": (0.03,)},
            arm_epochs={"relu": 15, "sigmoid": 15, "relu-with-norm": 15},
        ),
    },
)
