"""Initial weights of one standard deviation against He's and Glorot's."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.presets import IMAGENET_2012
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol

INIT = Experiment(
    name="init",
    claim="With all initial weights of std .01 and a net narrower than the paper's, plain SGD "
    "stays at chance level, since the signal shrinks from layer to layer. Initial weights scaled "
    "with the number of inputs of a layer (fan-in) avoid this.",
    source="Paper, section 5 (std .01); He et al. 2015, section 2.2",
    expected="no number: the loss stays at ln(number of classes), a common report about AlexNets",
    limits="On CIFAR-10 with net 145 at a quarter of its width and biases of 0 in all arms "
    "(experiment bias-one tests those); measured is the training error, averaged over the first "
    "epochs. At the paper's width, with images on the 0-255 scale, a std of .01 works.",
    measure="early_train_error",
    arms=(
        Arm(name="he", changes={"model.init": "he"}),
        Arm(name="glorot", changes={"model.init": "glorot"}),
        Arm(name="published", changes={"model.init": "published"}),
    ),
    comparisons=(
        Comparison(
            name="He initialization lowers the error of the first epochs",
            better=("he",),
            worse=("published",),
            min_effect=0.05,
        ),
        Comparison(
            name="Glorot initialization lowers it, too",
            better=("glorot",),
            worse=("published",),
            min_effect=0.05,
            is_primary=False,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 500, 100), epochs=6),
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=3,
            tuning_val_fraction=0.04,
        ),
        "full": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 2000, 100), epochs=10),
            num_seeds=4,
            lr_grid=bases.PAPER_LRS,
            tuning_epochs=4,
            tuning_val_fraction=0.04,
        ),
        "imagenet": replace(bases.IMAGENET, base=replace(IMAGENET_2012, epochs=5)),
    },
)
