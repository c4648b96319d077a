"""Dropout against none."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

DROPOUT = Experiment(
    name="dropout",
    claim="Dropping half of the hidden units while learning keeps a net from learning its pictures "
    "by heart, so it errs less on new ones.",
    source="Paper, section 4.2",
    expected="no figure is printed: without dropout the net overfits substantially",
    limits="On a few CIFAR-10 pictures, where overfitting can be had in minutes, with the "
    "batch-norm net, whose dropout is on the inputs of fc6 and fc7; batch norm regularises too, so "
    "the effect may be smaller than in the paper's net.",
    measure="test_error",
    arms=(Arm(name="dropout"), Arm(name="no-dropout", changes={"model.dropout": 0.0})),
    comparisons=(
        Comparison(
            name="dropout lowers the test error",
            better=("dropout",),
            worse=("no-dropout",),
            at_least=0.005,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.NARROW_BN, 400, 300), augment=bases.PLAIN, epochs=18),
            rates=bases.ADAM_RATES,
            tuning_epochs=6,
            tuning_per_class=300,
            tuning_share=0.04,
            pictures_per_second=bases.NARROW_BN_SPEED,
        ),
        "full": Protocol(
            base=replace(bases.pictures(bases.SMALL_BN, 1000), augment=bases.PLAIN, epochs=30),
            seeds=5,
            rates=bases.ADAM_RATES,
            tuning_epochs=10,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_BN_SPEED,
        ),
        "imagenet": bases.IMAGENET,
    },
)
