"""Random crops and flips, PCA color augmentation, and noise, each against no augmentation."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.augmentation import NO_AUGMENTATION
from alexnet.config.presets import IMAGENET_2012
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

AUGMENTATION = Experiment(
    name="augmentation",
    claim="Training on random crops and horizontal flips lowers the test error, and so does "
    "shifting the colors of the training images along their principal axes.",
    source="Paper, section 4.1",
    expected="color: more than 1 point of top-1 error; crops and flips: no number, but "
    "substantial overfitting without them",
    limits="On a small part of CIFAR-10 with net 145 at a quarter of its width, and with crops of "
    "28 of 32 pixels; the paper's crops were 224 of 256. Noise is not in the paper; it does not "
    "count for the verdict and is left out of the full protocol. An earlier full protocol had five "
    "other seeds: crops and flips 2.73 points (2.10 to 3.36), color 0.04 points (-1.77 to 1.85). "
    "As many seeds were then planned as were to tell half a point of color; crops and flips, which "
    "were clear, have five of them.",
    measure="test_error",
    arms=(
        Arm(name="baseline"),
        Arm(name="crops-and-flips", changes={"augment.crop": "random", "augment.flip": True}),
        Arm(name="color", changes={"augment.color_std": 0.1}),
        Arm(name="noise", changes={"augment.noise_std": 10.0}),
    ),
    comparisons=(
        Comparison(
            name="crops and flips lower the test error",
            better=("crops-and-flips",),
            worse=("baseline",),
            min_effect=0.01,
        ),
        Comparison(
            name="color shifts lower the test error",
            better=("color",),
            worse=("baseline",),
            min_effect=0.005,
            expected=0.01,
        ),
        Comparison(
            name="noise lowers the test error",
            better=("noise",),
            worse=("baseline",),
            min_effect=0.005,
            is_primary=False,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(
                bases.limit_per_class(bases.SMALL_ALEXNET, 200, 30),
                augment=NO_AUGMENTATION,
                epochs=12,
            ),
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=4,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(
                bases.limit_per_class(bases.SMALL_ALEXNET, 500, 100),
                augment=NO_AUGMENTATION,
                epochs=30,
            ),
            num_seeds=44,
            first_seed=100,
            arm_seeds={"crops-and-flips": 5},
            lr_grid=(0.003, 0.0015, 0.006),
            tuning_epochs=8,
            tuning_val_fraction=0.04,
            arms=("baseline", "crops-and-flips", "color"),
        ),
        "imagenet": replace(bases.IMAGENET, base=replace(IMAGENET_2012, augment=NO_AUGMENTATION)),
    },
)
