"""The images that every published network was trained on: their size, crop and normalization."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from alexnet.config.recipe import BaseRecipe, DataOptions, Recipe
from alexnet.config.scratch_training import with_scratch_training
from alexnet.io.limits import MAX_STORED_SIDE
from alexnet.models.architecture import Architecture
from alexnet.models.zoo import ABLATIONS, architecture

R = TypeVar("R", bound=BaseRecipe)

PAPER = DataOptions(resize_size=256, mean="image", scale="pixels")
"""Paper, section 2: shortest edge 256, minus the mean image."""
CODE2012 = replace(PAPER, scale="code2012")
CAFFE = replace(PAPER, resize="stretch")
"""Caffe's `create_imagenet.sh` stretches to 256 x 256; its `train_val.prototxt` subtracts the mean
image."""
PUBLISHED_INPUTS: dict[str, DataOptions] = {
    "alexnet": PAPER,
    "alexnet_table": PAPER,
    "alexnet_2012": CODE2012,
    **dict.fromkeys(ABLATIONS, CODE2012),
    "alexnet_caffe": CAFFE,
    "caffenet": CAFFE,
    "alexnet_notebook": DataOptions(resize="stretch", resize_size=224, mean="none", scale="unit"),
    "alexnet_owt": DataOptions(resize_size=256, mean="imagenet", scale="imagenet"),
    "alexnet_bn": DataOptions(resize_size=256),
    "lenet5": DataOptions(resize_size=32),
    "cifar_quick": DataOptions(resize_size=32, mean="image", scale="pixels"),
}
"""The data options of each published architecture. The crop has the size of the network's input."""
INPUT_OPTIONS = ("resize", "resize_size", "crop_size", "padding", "mean", "scale")
"""The options that say how an image becomes an input."""
MIN_CROPPED_SIDE = 64
"""A smaller input is the whole image, as for LeNet and CIFAR-10; a larger one is a crop."""


def with_architecture(recipe: R, arch: str | Architecture) -> R:
    """Give a recipe another architecture and the input size, crop and normalization of that.

    A recipe for random weights also gets the network's options for those (`scratch_training`). A
    recipe that has the architecture already is returned unchanged.

    Args:
        recipe: a preset, whose options were chosen for its own architecture.
        arch: the name of an architecture, or a custom one.

    Raises:
        UnknownNameError: there is no such architecture.
    """
    if arch == recipe.arch:
        return recipe
    table = architecture(arch)
    inputs = PUBLISHED_INPUTS.get(table.name) if isinstance(arch, str) else None
    options = inputs or own_input(table)
    changed = replace(
        recipe,
        arch=arch,
        model=replace(recipe.model, input_size=None, channels=None),
        data_options=with_input(recipe.data_options, options),
    )
    changed = _without_unknown_layers(changed)
    return with_scratch_training(changed, arch) if isinstance(arch, str) else changed


def own_input(arch: Architecture) -> DataOptions:
    """The data options for a custom architecture: a crop of 224/256 of the stored side.

    An input below MIN_CROPPED_SIDE is the whole image.
    """
    side = arch.input[1]
    resize_size = side if side < MIN_CROPPED_SIDE else round(side * 256 / 224)
    return DataOptions(resize_size=min(resize_size, MAX_STORED_SIDE))


def with_input(options: DataOptions, other: DataOptions) -> DataOptions:
    """Replace the size, crop and normalization in `options` by those of `other`."""
    return replace(options, **{name: getattr(other, name) for name in INPUT_OPTIONS})


def with_network(recipe: Recipe, model: Recipe) -> Recipe:
    """Give a recipe the architecture of a model and the input that the model was trained on."""
    changed = replace(
        recipe,
        arch=model.arch,
        model=model.model,
        data_options=with_input(recipe.data_options, model.data_options),
    )
    return _without_unknown_layers(changed)


def _without_unknown_layers(recipe: R) -> R:
    """The recipe, which freezes no layer if the architecture lacks the layer `freeze_up_to`."""
    names = {layer.name for layer in architecture(recipe.arch).layers}
    if not isinstance(recipe, Recipe) or recipe.freeze_up_to in names:
        return recipe
    return replace(
        recipe,
        freeze_up_to="",
        freeze_after_epoch=0,
        unfreeze_after_epoch=None,
        low_lr_after_epoch=None,
    )
