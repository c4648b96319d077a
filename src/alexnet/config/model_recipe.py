"""What a model file says of its network and its input, in the words of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from alexnet.config.preprocessing import MEANS, SCALES, Preprocessing
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.errors import ConfigError, UsageError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv, FullyConnected
from alexnet.models.variants import AS_PUBLISHED, ModelOptions, variant
from alexnet.models.zoo import architecture

OF_THE_IMAGES = ("rgb", "image", "std")
"""The words that depend on the training images."""
NEAR = 0.01
"""Numbers that differ less from those of a word are told by it: means by this fraction of 255, so
that Caffe's mean is ImageNet's, and standard deviations by this fraction of themselves."""
EQUAL = 1e-4
"""As NEAR, of numbers that were rounded."""


def recipe_of_model(recipe: Recipe, arch: Architecture, preprocessing: Preprocessing) -> Recipe:
    """The recipe in a model file, which then agrees with the file's network and preprocessing.

    That of a run agrees, and stays; one with the data "" was made for the file of another program.

    Args:
        recipe: in the file.
        arch: the file's; where no variant of a published one equals it, it is the recipe's.
        preprocessing: the file's; `model_note` says what of it no recipe can say.
    """
    base, model = next(
        (found for found in _candidates(recipe, arch) if _is_variant(*found, arch)),
        (arch, AS_PUBLISHED),
    )
    options = _with_preprocessing(recipe, preprocessing)
    return replace(recipe, arch=base, model=model, data_options=options)


def _candidates(
    recipe: Recipe, arch: Architecture
) -> Iterator[tuple[str | Architecture, ModelOptions]]:
    """Bases and variants of them that an architecture can be."""
    for base in (recipe.arch, arch.name):
        yield base, recipe.model
        try:
            yield base, _size_options(architecture(base), arch)
        except UsageError:  # a table of someone's own
            continue


def _size_options(base: Architecture, arch: Architecture) -> ModelOptions:
    """The width and the input of an architecture that is a variant of `base`; None: as in that."""
    widths = {name: count for name, count in _widths(arch).items() if name in _widths(base)}
    widest = max(widths, key=lambda name: _widths(base)[name], default="")
    return ModelOptions(
        width=widths[widest] / _widths(base)[widest] if widest else 1.0,
        input_size=arch.input[1] if arch.input[1] != base.input[1] else None,
        channels=arch.input[0] if arch.input[0] != base.input[0] else None,
    )


def _widths(arch: Architecture) -> dict[str, int]:
    """Channels and features of the layers but the last, by name."""
    layers = [layer for layer in arch.layers if layer.name != arch.output_layer]
    return {x.name: x.channels for x in layers if isinstance(x, Conv)} | {
        x.name: x.features for x in layers if isinstance(x, FullyConnected)
    }


def _is_variant(base: str | Architecture, options: ModelOptions, arch: Architecture) -> bool:
    try:
        found = variant(architecture(base), options, num_classes=arch.num_classes)
    except (ConfigError, UsageError):
        return False
    return (found.layers, found.input) == (arch.layers, arch.input)


def _with_preprocessing(recipe: Recipe, found: Preprocessing) -> DataOptions:
    options, is_trained = recipe.data_options, recipe.data != ""
    values: dict[str, Any] = {
        "resize": found.resize,
        "resize_size": found.resize_size,
        "padding": found.padding,
    }
    if (options.crop_size or found.input_side) != found.crop_size:
        values["crop_size"] = None if found.crop_size == found.input_side else found.crop_size
    if not (is_trained and options.mean in OF_THE_IMAGES):
        values["mean"] = _mean_word(found)
    if not (is_trained and options.scale in OF_THE_IMAGES):
        values["scale"] = _scale_word(found)
    return replace(options, **values)


def _mean_word(found: Preprocessing, tolerance: float = NEAR) -> str:
    """What --mean says of a mean; "rgb" where it says nothing like it."""
    if found.has_mean_image:
        can_be_made = found.channels == 3 and found.crop_size <= found.resize_size
        return "image" if can_be_made else "rgb"
    distances = {
        word: max(abs(a - b) / 255 for a, b in _pairs(found.mean, mean, found.channels))
        for word, mean in MEANS.items()
    }
    return _nearest(distances, tolerance) or "rgb"


def _scale_word(found: Preprocessing, tolerance: float = NEAR) -> str:
    """What --scale says of a standard deviation; "std" where it says nothing like it."""
    distances = {
        word: max(abs(a / b - 1) for a, b in _pairs(found.std, std, found.channels))
        for word, std in SCALES.items()
    }
    return _nearest(distances, tolerance) or "std"


def _pairs(
    one: Sequence[float], other: Sequence[float], channels: int
) -> list[tuple[float, float]]:
    return list(zip(one[:channels], other[:channels], strict=True))


def _nearest(distances: Mapping[str, float], tolerance: float) -> str:
    word = min(distances, key=lambda word: distances[word])
    return word if distances[word] <= tolerance else ""


def model_note(file: str, recipe: Recipe, model: Recipe, found: Preprocessing) -> str:
    """A sentence on a normalization that no recipe can say; "" if the recipe says it.

    Args:
        file: the name of the model file.
        recipe: a recipe that starts from it.
        model: the recipe in the file, as `recipe_of_model` gives it; a run's own says everything.
        found: the preprocessing in the file.
    """
    exact = (_mean_word(found, EQUAL), _scale_word(found, EQUAL))
    options = recipe.data_options
    said = (options.mean, options.scale)
    if model.data or said != (model.data_options.mean, model.data_options.scale):
        return ""
    if said == exact and not {*said} & {*OF_THE_IMAGES}:
        return ""
    whose = " of the new training images" if {*said} & {*OF_THE_IMAGES} else ""
    return (
        f"{file} normalizes an image by {' and '.join(found.steps()[-2:])}, which no recipe can "
        f"say; --mean {options.mean} --scale {options.scale}{whose} come nearest"
    )
