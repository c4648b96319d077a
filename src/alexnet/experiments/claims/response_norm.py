"""Local response normalization against none."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol
from alexnet.models.variants import ModelOptions

NARROW = replace(bases.NARROW_FOUR_LAYERS, model=ModelOptions(width=0.5, norm="response"))

RESPONSE_NORM = Experiment(
    name="response-norm",
    claim="Local response normalization, which divides each activation by a norm over "
    "neighboring channels, lowers the error.",
    source="Paper, section 3.3; Code2012, net 148 against 145",
    expected="1.4 points of top-1 error on ImageNet; on CIFAR-10 the error of a four-layer net "
    "fell from 13 % to 11 %",
    limits="The net is the four-layer one of the 2012 code with the paper's constants, on "
    "CIFAR-10. The net with the paper's 13 % had locally connected layers, which are not built "
    "here. The runs say nothing about ImageNet.",
    measure="test_error",
    arms=(
        Arm(name="response-norm"),
        Arm(name="no-norm", changes={"model.norm": "none"}),
    ),
    comparisons=(
        Comparison(
            name="response normalization lowers the test error",
            better=("response-norm",),
            worse=("no-norm",),
            min_effect=0.005,
            expected=0.02,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.limit_per_class(NARROW, 1000), epochs=7),
            lr_grid=bases.PIXEL_SCALE_LRS,
            tuning_epochs=4,
            tuning_train_per_class=500,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(bases.FOUR_LAYERS, model=ModelOptions(norm="response"), epochs=10),
            num_seeds=5,
            lr_grid=bases.PIXEL_SCALE_LRS,
            tuning_epochs=4,
            tuning_train_per_class=2000,
        ),
        "imagenet": bases.IMAGENET,
    },
)
