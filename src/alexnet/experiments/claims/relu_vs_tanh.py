"""ReLU against tanh: how soon a four-layer net learns CIFAR-10."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.recipe import LRSchedule
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

STEADY = replace(bases.FOUR_LAYERS, schedule=LRSchedule())
NARROW = replace(bases.NARROW_FOUR_LAYERS, schedule=LRSchedule())

RELU_VS_TANH = Experiment(
    name="relu-vs-tanh",
    claim="A convolutional net with rectified units learns several times sooner than the same net "
    "with tanh units.",
    source="Paper, section 3.1 and figure 1",
    expected="25 % training error on CIFAR-10 six times sooner, in epochs",
    limits="The paper's own data and its kind of net; of its net only the four layers are known, "
    "so the 2012 code's nearest one stands in, without its weight decay of 1 in the last layer. "
    "Epochs are counted to 25 % training error (quick: 55 %) as the pictures are learnt: the mean "
    "error of an epoch is taken for the error at its middle, with a straight line from one middle "
    "to the next. An arm that does not get there within its epochs gives a lower bound.",
    measure="epochs_to_error",
    arms=(
        Arm(name="relu"),
        Arm(name="tanh", changes={"model.activation": "tanh"}),
        Arm(name="sigmoid", changes={"model.activation": "sigmoid"}),
    ),
    comparisons=(
        Comparison(
            name="tanh takes longer than ReLU",
            better=("relu",),
            worse=("tanh",),
            scale="ratio",
            at_least=2.0,
            expected=6.0,
        ),
        Comparison(
            name="sigmoid takes longer than ReLU",
            better=("relu",),
            worse=("sigmoid",),
            scale="ratio",
            at_least=2.0,
            is_claim=False,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(NARROW, 800, 50), epochs=12, target_train_error=0.55),
            rates=bases.PIXEL_RATES,
            tuning_epochs=3,
            tuning_per_class=500,
            tuning_share=0.04,
            arm_epochs={"sigmoid": 4},
            pictures_per_second=bases.NARROW_FOUR_LAYERS_SPEED,
        ),
        "full": Protocol(
            base=replace(
                bases.pictures(STEADY, None, 100),
                epochs=24,
                batch_size=128,
                target_train_error=0.25,
            ),
            rates=(*bases.PIXEL_RATES, 0.03),
            tuning_epochs=4,
            tuning_per_class=1000,
            tuning_share=0.04,
            arm_epochs={"relu": 12, "sigmoid": 4},
            pictures_per_second=bases.FOUR_LAYERS_SPEED,
        ),
    },
)
