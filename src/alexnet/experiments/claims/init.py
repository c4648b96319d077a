"""Initial weights of one standard deviation against He's and Glorot's."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.presets import IMAGENET_2012
from alexnet.config.recipe import DataOptions
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol
from alexnet.models.variants import ModelOptions

# He's initialization keeps the size of its inputs, so the pixels have unit variance here.
UNIT_SCALE = replace(
    bases.SMALL_ALEXNET,
    model=ModelOptions(width=0.25, input_size=67, bias=0.0),
    data_options=DataOptions(resize_size=32, crop_size=28),
)

INIT = Experiment(
    name="init",
    claim="With all initial weights of std .01 and a net narrower than the paper's, plain SGD "
    "stays at chance level, since the signal shrinks from layer to layer. Initial weights scaled "
    "with the number of inputs of a layer (fan-in) avoid this.",
    source="Paper, section 5 (std .01); He et al. 2015, section 2.2",
    expected="no number: the loss stays at ln(number of classes), a common report about AlexNets",
    limits="On CIFAR-10 with net 145 at a quarter of its width and biases of 0 in all arms "
    "(experiment bias-one tests those); measured is the training error, averaged over the first "
    "epochs. Chance level is an error of 90 %, and the published weights had 90.2 to 90.3 %. At "
    "the paper's width, with images on the 0-255 scale, a std of .01 works.",
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
            base=replace(bases.limit_per_class(UNIT_SCALE, 300, 30), epochs=4),
            lr_grid=bases.PAPER_LRS,
        ),
        "full": Protocol(
            base=replace(bases.limit_per_class(UNIT_SCALE, 600, 30), epochs=5),
            num_seeds=3,
            lr_grid=bases.PAPER_LRS,
        ),
        "imagenet": replace(bases.IMAGENET, base=replace(IMAGENET_2012, epochs=5)),
    },
)
