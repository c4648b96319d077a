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
    limits="The net is net 145 at a quarter of its width, with dropout on the outputs of fc6 and "
    "fc7, as in the paper. At 67 pixels fc6 has 64 inputs, where the paper's has 9,216: there is "
    "less to overfit with. It is trained on a small part of CIFAR-10 without augmentation, until "
    "it overfits. The paper needed about twice as many iterations with dropout; both arms have as "
    "many here. Dropout does reduce overfitting in another measure: in the tuning runs with the "
    "rate 0.003 the validation loss is 1.97 to 2.20 with dropout and 2.74 to 2.96 without, at "
    "errors that differ little. Earlier full protocols were undecided: a quarter of the images, 40 "
    "epochs and 5 other seeds, 0.45 points (-1.43 to 2.35); and, with 2000 images per class, 60 "
    "epochs and rates tuned in shorter runs on half of the images, -0.93 points (-2.38 to 0.54) "
    "for seeds 100 to 104 and 0.27 (-1.38 to 1.93) for seeds 200 to 205. Much of the spread of the "
    "last came from rates that such tuning chose too low. In this protocol the tuning runs are as "
    "long and as large as the measured ones, and the error no longer depends on the chosen rate "
    "(correlations -0.09 and 0.17); what is left is the spread of trainings that differ in the "
    "seed alone.",
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
                bases.limit_per_class(bases.SMALL_ALEXNET, 200, 30),
                augment=NO_AUGMENTATION,
                epochs=16,
            ),
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=8,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(
                bases.limit_per_class(bases.SMALL_ALEXNET, 1000, 100),
                augment=NO_AUGMENTATION,
                epochs=40,
            ),
            num_seeds=6,
            first_seed=300,
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=40,
            tuning_val_fraction=0.04,
        ),
        "imagenet": bases.IMAGENET,
    },
)
