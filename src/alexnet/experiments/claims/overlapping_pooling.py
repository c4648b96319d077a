"""Overlapping against non-overlapping pooling."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

OVERLAPPING_POOLING = Experiment(
    name="overlapping-pooling",
    claim="Overlapping pooling (3 x 3 windows, stride 2) gives a lower error than non-overlapping "
    "pooling (2 x 2 windows, stride 2).",
    source="Paper, section 3.4; Code2012, net 147 against 145",
    expected="0.4 points of top-1 error on ImageNet",
    limits="The net is the four-layer one of the 2012 code, on CIFAR-10; both kinds of pooling "
    "give feature maps of the same size. The runs say nothing about ImageNet. An effect as small "
    "as the paper's is hard to detect with a few seeds and 10,000 test images.",
    measure="test_error",
    arms=(
        Arm(name="overlapping"),
        Arm(name="non-overlapping", changes={"model.pooling": "non_overlapping"}),
    ),
    comparisons=(
        Comparison(
            name="overlapping pooling lowers the test error",
            better=("overlapping",),
            worse=("non-overlapping",),
            min_effect=0.002,
            expected=0.004,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.limit_per_class(bases.NARROW_FOUR_LAYERS, 600, 30), epochs=8),
            lr_grid=bases.FOUR_LAYER_LRS,
            tuning_epochs=4,
            tuning_train_per_class=400,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(bases.limit_per_class(bases.FOUR_LAYERS, 1500, 100), epochs=12),
            num_seeds=8,
            lr_grid=bases.FOUR_LAYER_LRS,
            tuning_epochs=4,
            tuning_train_per_class=1000,
            tuning_val_fraction=0.04,
        ),
        "imagenet": bases.IMAGENET,
    },
)
