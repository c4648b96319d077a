"""Ten views of a picture against its centre."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

TEN_VIEWS = Experiment(
    name="ten-views",
    claim="Averaging what a net says of ten views of a picture (four corners and the centre, each "
    "also mirrored) errs less than asking it about the centre alone.",
    source="Paper, section 4.1",
    expected="1.5 points of top-1 error on ImageNet (39.0 to 37.5 %)",
    limits="On CIFAR-10, views of 28 of 32 pixels, so that the corners lie 2 pixels from the "
    "centre; the paper's lay 16 of 256 from it. Both arms judge the same networks.",
    measure="test_error",
    arms=(Arm(name="ten-views", crops=10), Arm(name="centre")),
    comparisons=(
        Comparison(
            name="ten views lower the test error",
            better=("ten-views",),
            worse=("centre",),
            at_least=0.005,
            expected=0.015,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.NARROW_BN, 1000, 500), epochs=12),
            rates=bases.ADAM_RATES,
            tuning_epochs=4,
            tuning_per_class=500,
            tuning_share=0.04,
            pictures_per_second=bases.NARROW_BN_SPEED,
        ),
        "full": Protocol(
            base=replace(bases.SMALL_BN, epochs=12),
            seeds=5,
            rates=bases.ADAM_RATES,
            tuning_epochs=8,
            tuning_per_class=1000,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_BN_SPEED,
        ),
        "imagenet": bases.IMAGENET,
    },
)
