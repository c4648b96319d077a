"""Convert the layers of a Keras network that prepare its images to a `Preprocessing`.

Keras's Rescaling and Normalization are multiplications and additions; together they are one
factor and one offset per channel. Resizing and CenterCrop are the resize and the crop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np

from alexnet.config.preprocessing import RGB, Preprocessing, Resize
from alexnet.errors import ModelFileError
from alexnet.interop.keras.config import LayerConfig
from alexnet.interop.keras.layers import square
from alexnet.interop.keras.weights import VARIABLES, StoredLayer, find_stored
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.io.text import short_repr
from alexnet.models.architecture import Architecture

MIN_STD = 1e-7
"""Smallest number by which Keras's Normalization divides."""
OPERATIONS = {
    "TrueDivide": "truediv",
    "Divide": "truediv",
    "Multiply": "multiply",
    "Add": "add",
    "Subtract": "subtract",
}
"""Keras 3's names of operations in a Functional model; Keras 2 has the name in the options."""
VALUES = ("Rescaling", "Normalization", "TFOpLambda", *OPERATIONS)


@dataclass
class ImageLayers:
    """A collector of the layers of a chain that prepare the images.

    Args:
        file: the file's name, for messages.
        stored: the arrays of the file.
        channels: number of channels of the images.
        side: side of the file's input in pixels; 0 if the file takes images of any size.
    """

    file: str
    stored: Sequence[StoredLayer]
    channels: int
    side: int
    factor: np.ndarray = field(default_factory=lambda: np.ones(1))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(1))
    """The network gets factor * x + offset, with one number for all channels or one per channel."""
    resize: Resize = "stretch"
    resize_size: int = 0
    crop_size: int = 0
    input_size: int | None = None
    """`Preprocessing.input_size`; None if no layer resizes to it."""
    has_values: bool = False
    notes: list[str] = field(default_factory=list)

    def take(self, layer: LayerConfig) -> bool:
        """Add a layer if it prepares images, else return False."""
        if step := SIZE_STEPS.get(layer.class_name):
            step(self, layer)
        elif layer.class_name in VALUES:
            self.has_values = True
            VALUE_STEPS.get(layer.class_name, _operation)(self, layer)
        else:
            return False
        return True

    @property
    def has_size(self) -> bool:
        """Whether a layer resizes or crops."""
        return bool(self.resize_size or self.crop_size)

    def fail(self, layer: LayerConfig, reason: str) -> NoReturn:
        """Raise ModelFileError for a layer."""
        raise ModelFileError(f"{self.file}: {layer} {reason}")

    def apply(self, factor: Any, offset: Any) -> None:
        """Multiply the values of the images by a factor and add an offset."""
        self.factor = self.factor * factor
        self.offset = self.offset * factor + offset

    def preprocessing(self, arch: Architecture) -> Preprocessing | None:
        """The preprocessing of the collected layers; None if there are none.

        Raises:
            ModelFileError: no `Preprocessing` is equivalent to the layers.
        """
        if not self.has_values and not self.has_size:
            return None
        found = replace(
            published_preprocessing("published", arch),
            channels=1 if self.channels == 1 else 3,
            resize=self.resize,
            resize_size=self.resize_size or self.side,
            crop_size=self.crop_size or self.resize_size or self.side,
            input_size=self.input_size,
        )
        if self.has_values:
            mean, std = self._mean_and_std()
            return replace(found, mean=mean, std=std)
        self.notes.append(
            f"{self.file} resizes its images, but does not say in which range it takes their "
            "values: these are as published"
        )
        return found

    def _mean_and_std(self) -> tuple[RGB, RGB]:
        """Mean and std on the 0-255 scale, for RGB."""
        factor, offset = (
            np.broadcast_to(a.astype(np.float64), (self.channels,))
            for a in (self.factor, self.offset)
        )
        if not (np.isfinite(factor).all() and np.isfinite(offset).all() and factor.min() > 0):
            raise ModelFileError(
                f"{self.file} multiplies its images by {factor.tolist()}; only factors above 0 "
                "are supported"
            )
        mean, std = 0 - offset / factor, 1 / factor  # 0 and not -0 where there is no offset
        if std.min() < 1:  # pixels of 0 to 255 would get far out of the range of any network
            mean, std = self._from_other_range(mean, std)
        return _rgb(mean), _rgb(std)

    def _from_other_range(self, mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and std on the 0-255 scale for a file that takes values of 0 to 1 or -1 to 1."""
        is_signed = bool(mean.min() < 0)
        self.notes.append(
            f"{self.file} subtracts {_text(mean)} and divides by {_text(std)}, so it takes values "
            f"of {'-1 to 1' if is_signed else '0 to 1'}, not of 0 to 255"
        )
        return (127.5 * (mean + 1), 127.5 * std) if is_signed else (255 * mean, 255 * std)


def _rgb(values: np.ndarray) -> RGB:
    r, g, b = values.tolist() if len(values) == 3 else [values.item(0)] * 3
    return r, g, b


def _text(values: np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _numbers(images: ImageLayers, layer: LayerConfig, value: Any) -> np.ndarray:
    """The numbers in a config's value: one, or one per channel."""
    if isinstance(value, dict):  # an array of numpy or of a backend
        value = value["config"]["value"]
    numbers = np.array(value, np.float64).ravel()
    if len(numbers) not in (1, images.channels):
        images.fail(layer, f"has {len(numbers)} values; one, or one for each channel, is supported")
    return numbers


def _rescaling(images: ImageLayers, layer: LayerConfig) -> None:
    scale, offset = (layer.options.get(name, n) for name, n in (("scale", 1.0), ("offset", 0.0)))
    images.apply(_numbers(images, layer, scale), _numbers(images, layer, offset))


def _normalization(images: ImageLayers, layer: LayerConfig) -> None:
    stored = find_stored(images.stored, layer)
    given = layer.options.get("mean"), layer.options.get("variance")
    if given[0] is None:
        if not stored.variables:
            images.fail(layer, "has no mean and variance; call its adapt() before saving")
        arrays = stored.named(VARIABLES["normalization"])
        given = arrays["mean"], arrays["variance"]
    mean, variance = (_numbers(images, layer, value) for value in given)
    std = np.maximum(np.sqrt(variance), MIN_STD)
    if layer.options.get("invert"):
        images.apply(std, mean)
    else:
        images.apply(1 / std, -mean / std)


def _operation(images: ImageLayers, layer: LayerConfig) -> None:
    """Apply an operation of a Functional model with a constant, such as x / 255."""
    function = OPERATIONS.get(layer.class_name) or str(layer.options.get("function"))
    name = function.rpartition(".")[2].removeprefix("__").removesuffix("__")
    constants = [operand for operand in layer.operands if operand is not None]
    constants = [operand for operand in constants if not isinstance(operand, str | bool)]
    is_known = name in OPERATIONS.values() or name in ("mul", "sub")
    if not is_known or len(constants) != 1 or layer.operands[0] is not None:
        images.fail(layer, f"computes {short_repr(name)}, which no preprocessing here does")
    number = _numbers(images, layer, constants[0])
    factor = {"truediv": 1 / number, "multiply": number, "mul": number}.get(name, np.ones(1))
    offset = {"add": number, "subtract": -number, "sub": -number}.get(name, np.zeros(1))
    images.apply(factor, offset)


def _side(layer: LayerConfig) -> int:
    return square([layer.options["height"], layer.options["width"]], "size")


def _resizing(images: ImageLayers, layer: LayerConfig) -> None:
    side = _side(layer)
    if layer.options.get("pad_to_aspect_ratio"):
        images.fail(layer, "pads images to a square, which no preprocessing here does")
    if images.crop_size:
        images.input_size = side
    else:
        images.resize = "shortest_edge" if layer.options.get("crop_to_aspect_ratio") else "stretch"
        images.resize_size = side
    images.side = side


def _center_crop(images: ImageLayers, layer: LayerConfig) -> None:
    side = _side(layer)
    if not images.side:
        images.fail(layer, "crops images of any size; resize them before it with Resizing")
    if side > images.side or images.input_size:
        images.fail(layer, f"makes {side} pixels of {images.side}, which no crop here does")
    images.resize_size = images.resize_size or images.side
    images.crop_size = images.side = side


def _random_crop(images: ImageLayers, layer: LayerConfig) -> None:
    side = _side(layer)
    if side != images.side:
        images.fail(
            layer, f"crops images to {side} pixels in training only; put CenterCrop in its place"
        )


SIZE_STEPS: dict[str, Callable[[ImageLayers, LayerConfig], None]] = {
    "Resizing": _resizing,
    "CenterCrop": _center_crop,
    "RandomCrop": _random_crop,
}
VALUE_STEPS: dict[str, Callable[[ImageLayers, LayerConfig], None]] = {
    "Rescaling": _rescaling,
    "Normalization": _normalization,
}
