"""First biases of 1 against 0."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.presets import IMAGENET_2012
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

BIAS_ONE = Experiment(
    name="bias-one",
    claim="Biases that begin at 1 in conv2, conv4, conv5 and the hidden fully connected layers "
    "speed up the first epochs, since rectified units then begin with something to pass on.",
    source="Paper, section 5",
    expected="no figure is printed: the early stages of learning are faster",
    limits="On CIFAR-10 with a narrow AlexNet; measured is the training error, averaged over the "
    "first epochs. He's first weights are used in both arms, which by themselves keep the units "
    "alive, so less is left for the biases to do than with the paper's sd of .01; those do not "
    "leave chance at this width (experiment init).",
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
            at_least=0.01,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.SMALL_ALEXNET, 600, 100), epochs=6),
            rates=bases.PIXEL_RATES,
            tuning_epochs=4,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "full": Protocol(
            base=replace(bases.pictures(bases.SMALL_ALEXNET, 2000, 100), epochs=8),
            seeds=5,
            rates=bases.PIXEL_RATES,
            tuning_epochs=4,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "imagenet": replace(bases.IMAGENET, base=replace(IMAGENET_2012, epochs=5)),
    },
)
