"""Two columns against one of half the width, and against two that never talk."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

TWO_COLUMNS = Experiment(
    name="two-columns",
    claim="Two columns that see each other in conv3 err less than one column of half as many "
    "kernels, and less than two that meet only in fc6.",
    source="Paper, section 3.2; Code2012, nets 145, 145-half and 150",
    expected="1.7 points of top-1 error over one column (ILSVRC-2010), 1.2 over columns without "
    "communication (ILSVRC-2012)",
    limits="On CIFAR-10 with the 2012 code's nets at a quarter of their width. As in the paper, "
    "one column keeps the whole of conv5; its fully connected layers are not halved either.",
    measure="test_error",
    arms=(
        Arm(name="two-columns"),
        Arm(name="one-column", changes={"arch": "alexnet_2012_half"}),
        Arm(name="no-communication", changes={"arch": "alexnet_2012_no_communication"}),
    ),
    comparisons=(
        Comparison(
            name="two columns err less than one",
            better=("two-columns",),
            worse=("one-column",),
            at_least=0.005,
            expected=0.017,
        ),
        Comparison(
            name="columns that talk err less than columns that do not",
            better=("two-columns",),
            worse=("no-communication",),
            at_least=0.005,
            expected=0.012,
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
            base=replace(bases.SMALL_ALEXNET, epochs=10),
            rates=bases.PAPER_RATES,
            tuning_epochs=5,
            tuning_per_class=1000,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "imagenet": bases.IMAGENET,
    },
)
