"""Dropout against none."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.augmentation import NO_AUGMENTATION
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

DROPOUT = Experiment(
    name="dropout",
    claim="Dropout of half of the hidden units reduces overfitting, so that the test error is "
    "lower.",
    source="Paper, section 4.2",
    expected="no number: without dropout the net overfits substantially",
    limits="The net is the batch-norm one, with dropout on the inputs of fc6 and fc7. It is "
    "trained on a small part of CIFAR-10, where it overfits within minutes. Batch norm "
    "regularizes, too, so the effect may be smaller than in the paper's net.",
    measure="test_error",
    arms=(Arm(name="dropout"), Arm(name="no-dropout", changes={"model.dropout": 0.0})),
    comparisons=(
        Comparison(
            name="dropout lowers the test error",
            better=("dropout",),
            worse=("no-dropout",),
            min_effect=0.005,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(
                bases.limit_per_class(bases.NARROW_BN, 400, 300),
                augment=NO_AUGMENTATION,
                epochs=18,
            ),
            lr_grid=bases.ADAMW_LRS,
            tuning_epochs=6,
            tuning_train_per_class=300,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(
                bases.limit_per_class(bases.SMALL_BN, 1000),
                augment=NO_AUGMENTATION,
                epochs=30,
            ),
            num_seeds=5,
            lr_grid=bases.ADAMW_LRS,
            tuning_epochs=10,
            tuning_val_fraction=0.04,
        ),
        "imagenet": bases.IMAGENET,
    },
)
