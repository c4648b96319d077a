"""Express a model file's network and preprocessing as the options of a recipe."""

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
"""Values of --mean and --scale that are computed from the training images."""
NEAR = 0.01
"""Tolerance within which a mean or standard deviation counts as that of a value of --mean or
--scale: for means a fraction of 255 (so Caffe's mean counts as ImageNet's), for standard deviations
relative."""
EQUAL = 1e-4
"""Tolerance for numbers that differ by rounding alone, in the units of NEAR."""


def recipe_of_model(recipe: Recipe, arch: Architecture, preprocessing: Preprocessing) -> Recipe:
    """Change the recipe of a model file to agree with the file's network and preprocessing.

    The recipe of a run agrees already. One whose data is "" belongs to an imported model.

    Args:
        recipe: the recipe in the file.
        arch: the architecture in the file; the recipe gets it whole if it is no variant of a
            published one.
        preprocessing: the preprocessing in the file; `model_note` reports what no recipe can
            express.
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
    """Pairs of a base architecture and options that may give the architecture."""
    for base in (recipe.arch, arch.name):
        yield base, recipe.model
        try:
            yield base, _size_options(architecture(base), arch)
        except UsageError:  # a table of someone's own
            continue


def _size_options(base: Architecture, arch: Architecture) -> ModelOptions:
    """The options by which an architecture's width and input differ from those of `base`."""
    widths = {name: count for name, count in _widths(arch).items() if name in _widths(base)}
    widest = max(widths, key=lambda name: _widths(base)[name], default="")
    return ModelOptions(
        width=widths[widest] / _widths(base)[widest] if widest else 1.0,
        input_size=arch.input[1] if arch.input[1] != base.input[1] else None,
        channels=arch.input[0] if arch.input[0] != base.input[0] else None,
    )


def _widths(arch: Architecture) -> dict[str, int]:
    """Channels or features of the layers with weights, by name, without the last layer."""
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
    """The value of --mean within the tolerance of a mean; "rgb" if none is."""
    if found.has_mean_image:
        can_be_made = found.channels == 3 and found.crop_size <= found.resize_size
        return "image" if can_be_made else "rgb"
    distances = {
        word: max(abs(a - b) / 255 for a, b in _pairs(found.mean, mean, found.channels))
        for word, mean in MEANS.items()
    }
    return _nearest(distances, tolerance) or "rgb"


def _scale_word(found: Preprocessing, tolerance: float = NEAR) -> str:
    """The value of --scale within the tolerance of a standard deviation; "std" if none is."""
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
    """A sentence on a normalization that no recipe can express; "" if the recipe expresses it.

    Args:
        file: the name of the model file.
        recipe: a recipe that starts from this file.
        model: the recipe in the file, as `recipe_of_model` returns it; that of a run expresses
            everything.
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
