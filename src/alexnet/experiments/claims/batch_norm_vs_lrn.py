"""Batch normalization against local response normalization."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

BATCH_NORM_VS_LRN = Experiment(
    name="batch-norm-vs-lrn",
    claim="A net with batch normalization instead of local response normalization reaches a lower "
    "error in the same number of epochs.",
    source="Ioffe and Szegedy 2015; the tutorial, whose program uses batch normalization",
    expected="no number for this net: the authors needed 14 times fewer steps with another one",
    limits="On CIFAR-10 with net 145 at a quarter of its width, for a few epochs. The constants "
    "of the response normalization were chosen for pixels from 0 to 255. Here the pixels are "
    "divided by their standard deviation, so it does little more than scale.",
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
        "quick": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 600, 300), epochs=7),
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=3,
            tuning_train_per_class=300,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 2500), epochs=15),
            num_seeds=4,
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=5,
            tuning_train_per_class=1000,
            tuning_val_fraction=0.04,
        ),
        "imagenet": bases.IMAGENET,
    },
)
