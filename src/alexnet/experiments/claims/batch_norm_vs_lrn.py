"""Batch normalisation in the place of response normalisation."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

BATCH_NORM_VS_LRN = Experiment(
    name="batch-norm-vs-lrn",
    claim="Batch normalisation in the place of response normalisation reaches a lower error in as "
    "many epochs.",
    source="Ioffe and Szegedy 2015; the tutorial, whose program puts it there",
    expected="no figure for this net: its authors needed 14 times fewer steps in another one",
    limits="On CIFAR-10 with net 145 at a quarter of its width, for a few epochs. The response "
    "norm's constants were made for pixels of 0 to 255; here pictures are divided by their "
    "deviation, so it does little beside scaling.",
    measure="test_error",
    arms=(
        Arm(name="batch-norm", changes={"model.norm": "batch"}),
        Arm(name="response-norm"),
        Arm(name="no-norm", changes={"model.norm": "none"}),
    ),
    comparisons=(
        Comparison(
            name="batch norm errs less than response norm",
            better=("batch-norm",),
            worse=("response-norm",),
            at_least=0.01,
        ),
        Comparison(
            name="batch norm errs less than no norm",
            better=("batch-norm",),
            worse=("no-norm",),
            at_least=0.01,
            is_claim=False,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.SMALL_ALEXNET, 600, 300), epochs=7),
            rates=bases.PAPER_RATES,
            tuning_epochs=3,
            tuning_per_class=300,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "full": Protocol(
            base=replace(bases.pictures(bases.SMALL_ALEXNET, 2500), epochs=15),
            seeds=4,
            rates=bases.PAPER_RATES,
            tuning_epochs=5,
            tuning_per_class=1000,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "imagenet": bases.IMAGENET,
    },
)
