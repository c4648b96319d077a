"""Crops and mirroring, colour shifts, and noise, each against nothing."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.presets import IMAGENET_2012
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

AUGMENTATION = Experiment(
    name="augmentation",
    claim="Training on random crops and mirror images, and on pictures whose colours are shifted "
    "along their principal axes, lowers the error on new pictures.",
    source="Paper, section 4.1",
    expected="colour: more than 1 point of top-1 error; crops and mirroring: no figure, but "
    "substantial overfitting without them",
    limits="On a few CIFAR-10 pictures, crops of 28 of their 32 pixels; the paper cropped 224 of "
    "256. Noise is not the paper's and has no say in the verdict.",
    measure="test_error",
    arms=(
        Arm(name="nothing"),
        Arm(name="crops-and-mirrors", changes={"augment.crop": "random", "augment.flip": True}),
        Arm(name="colour", changes={"augment.color_std": 0.1}),
        Arm(name="noise", changes={"augment.noise_std": 10.0}),
    ),
    comparisons=(
        Comparison(
            name="crops and mirrors lower the test error",
            better=("crops-and-mirrors",),
            worse=("nothing",),
            at_least=0.01,
        ),
        Comparison(
            name="colour shifts lower the test error",
            better=("colour",),
            worse=("nothing",),
            at_least=0.005,
            expected=0.01,
        ),
        Comparison(
            name="noise lowers the test error",
            better=("noise",),
            worse=("nothing",),
            at_least=0.005,
            is_claim=False,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.NARROW_BN, 400, 300), augment=bases.PLAIN, epochs=9),
            rates=bases.ADAM_RATES,
            tuning_epochs=5,
            tuning_per_class=300,
            tuning_share=0.04,
            pictures_per_second=bases.NARROW_BN_SPEED,
        ),
        "full": Protocol(
            base=replace(bases.pictures(bases.SMALL_BN, 1000), augment=bases.PLAIN, epochs=24),
            seeds=4,
            rates=bases.ADAM_RATES,
            tuning_epochs=8,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_BN_SPEED,
        ),
        "imagenet": replace(bases.IMAGENET, base=replace(IMAGENET_2012, augment=bases.PLAIN)),
    },
)
