"""Overlapping pooling against pooling side by side."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

OVERLAPPING_POOLING = Experiment(
    name="overlapping-pooling",
    claim="Pooling windows of 3 x 3 that overlap (stride 2) give fewer errors than windows of "
    "2 x 2 that do not.",
    source="Paper, section 3.4; Code2012, net 147 against 145",
    expected="0.4 points of top-1 error on ImageNet",
    limits="On CIFAR-10 with the 2012 code's four-layer net, whose maps keep their sizes. Nothing "
    "is said about ImageNet, and an effect as small as the paper's is more than a few seeds on "
    "10,000 test pictures can tell from none.",
    measure="test_error",
    arms=(
        Arm(name="overlapping"),
        Arm(name="side-by-side", changes={"model.pooling": "non_overlapping"}),
    ),
    comparisons=(
        Comparison(
            name="overlap lowers the test error",
            better=("overlapping",),
            worse=("side-by-side",),
            at_least=0.002,
            expected=0.004,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.NARROW_FOUR_LAYERS, 1000), epochs=8),
            rates=bases.PIXEL_RATES,
            tuning_epochs=4,
            tuning_per_class=500,
            tuning_share=0.04,
            pictures_per_second=bases.NARROW_FOUR_LAYERS_SPEED,
        ),
        "full": Protocol(
            base=replace(bases.FOUR_LAYERS, epochs=10),
            seeds=5,
            rates=bases.PIXEL_RATES,
            tuning_epochs=4,
            tuning_per_class=2000,
            pictures_per_second=bases.FOUR_LAYERS_SPEED,
        ),
        "imagenet": bases.IMAGENET,
    },
)
