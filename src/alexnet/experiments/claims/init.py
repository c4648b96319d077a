"""First weights of one spread against those that scale with a layer's inputs."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.presets import IMAGENET_2012
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

INIT = Experiment(
    name="init",
    claim="Plain SGD gets stuck at chance when all first weights have a spread of .01 and the net "
    "is narrower than the paper's: the signal shrinks from layer to layer. Weights that scale with "
    "the number of a layer's inputs set it free.",
    source="Paper, section 5 (sd .01); He et al. 2015, section 2.2",
    expected="no figure: the loss stays at ln(classes), the commonest complaint about AlexNets",
    limits="On CIFAR-10 with net 145 at a quarter of its width and biases of 0 in all arms "
    "(experiment bias-one is about those); measured is the training error, averaged over the first "
    "epochs. At the paper's width and with its pictures on the 0-255 scale an sd of .01 works.",
    measure="early_train_error",
    arms=(
        Arm(name="he", changes={"model.init": "he"}),
        Arm(name="glorot", changes={"model.init": "glorot"}),
        Arm(name="published", changes={"model.init": "published"}),
    ),
    comparisons=(
        Comparison(
            name="He's first weights lower the error of the first epochs",
            better=("he",),
            worse=("published",),
            at_least=0.05,
        ),
        Comparison(
            name="Glorot's first weights lower it too",
            better=("glorot",),
            worse=("published",),
            at_least=0.05,
            is_claim=False,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.pictures(bases.SMALL_ALEXNET, 500, 100), epochs=6),
            rates=bases.PAPER_RATES,
            tuning_epochs=3,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "full": Protocol(
            base=replace(bases.pictures(bases.SMALL_ALEXNET, 2000, 100), epochs=10),
            seeds=4,
            rates=bases.PAPER_RATES,
            tuning_epochs=4,
            tuning_share=0.04,
            pictures_per_second=bases.SMALL_ALEXNET_SPEED,
        ),
        "imagenet": replace(bases.IMAGENET, base=replace(IMAGENET_2012, epochs=5)),
    },
)
