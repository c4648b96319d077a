"""Ten-crop evaluation against the center crop."""

from __future__ import annotations

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment

TEN_CROP = Experiment(
    name="ten-crop",
    claim="Averaging the predictions for ten crops of an image (the four corners and the center, "
    "each also flipped) gives a lower error than the center crop alone.",
    source="Paper, section 4.1",
    expected="1.5 points of top-1 error on ImageNet (39.0 to 37.5 %)",
    limits="On CIFAR-10 with net 145 at a quarter of its width, and crops of 28 of 32 pixels, so "
    "the corner crops are shifted by 2 pixels from the center; the paper's were shifted by 16 of "
    "256. Both arms evaluate the same networks.",
    measure="test_error",
    arms=(Arm(name="ten-crop", crops=10), Arm(name="center-crop")),
    comparisons=(
        Comparison(
            name="ten-crop evaluation lowers the test error",
            better=("ten-crop",),
            worse=("center-crop",),
            min_effect=0.005,
            expected=0.015,
        ),
    ),
    protocols={
        "quick": bases.NET_145_QUICK,
        "full": bases.NET_145_FULL,
        "imagenet": bases.IMAGENET,
    },
)
