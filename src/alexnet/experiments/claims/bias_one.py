"""Initial biases of 1 against 0."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.presets import IMAGENET_2012
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

BIAS_ONE = Experiment(
    name="bias-one",
    claim="Initial biases of 1 in conv2, conv4, conv5 and the hidden fully connected layers "
    "accelerate the first epochs, because they give the ReLUs positive inputs.",
    source="Paper, section 5",
    expected="no number: the early stages of learning are faster",
    limits="On CIFAR-10 with a narrow AlexNet; measured is the training error, averaged over the "
    "first epochs. Both arms use He initialization, which keeps the ReLUs active by itself, so "
    "the biases may matter less than with the paper's weights of std .01. With those, the net "
    "does not leave chance level at this width (experiment init).",
    measure="early_train_error",
    arms=(
        Arm(name="bias-1", changes={"model.bias": 1.0}),
        Arm(name="bias-0", changes={"model.bias": 0.0}),
    ),
    comparisons=(
        Comparison(
            name="biases of 1 lower the error of the first epochs",
            better=("bias-1",),
            worse=("bias-0",),
            min_effect=0.01,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 600, 100), epochs=6),
            lr_grid=bases.PIXEL_SCALE_LRS,
            tuning_epochs=4,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 2000, 100), epochs=8),
            num_seeds=5,
            lr_grid=bases.PIXEL_SCALE_LRS,
            tuning_epochs=4,
            tuning_val_fraction=0.04,
        ),
        "imagenet": replace(bases.IMAGENET, base=replace(IMAGENET_2012, epochs=5)),
    },
)
