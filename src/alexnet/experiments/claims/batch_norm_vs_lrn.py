"""Batch normalization against local response normalization."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment

BATCH_NORM_VS_LRN = Experiment(
    name="batch-norm-vs-lrn",
    claim="A net with batch normalization instead of local response normalization reaches a lower "
    "error in the same number of epochs.",
    source="Ioffe and Szegedy 2015; the tutorial, whose program uses batch normalization",
    expected="no number for this net: the authors needed 14 times fewer steps with another one",
    limits="On CIFAR-10 with net 145 at a quarter of its width, for 15 epochs. The pixels have the "
    "scale that the constants of the response normalization were chosen for. The net without "
    "either norm is in the experiment response-norm, and here on ImageNet only.",
    measure="test_error",
    arms=(
        Arm(name="batch-norm", changes={"model.norm": "batch"}),
        Arm(name="response-norm"),
        Arm(name="no-norm", changes={"model.norm": "none"}),
    ),
    comparisons=(
        Comparison(
            name="batch norm has a lower error than response norm",
            better=("batch-norm",),
            worse=("response-norm",),
            min_effect=0.01,
        ),
        Comparison(
            name="batch norm has a lower error than no norm",
            better=("batch-norm",),
            worse=("no-norm",),
            min_effect=0.01,
            is_primary=False,
        ),
    ),
    protocols={
        "quick": replace(bases.NET_145_QUICK, arms=("batch-norm", "response-norm")),
        "full": replace(bases.NET_145_FULL, arms=("batch-norm", "response-norm")),
        "imagenet": bases.IMAGENET,
    },
)
