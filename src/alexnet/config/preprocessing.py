"""How an image becomes a network's input: a dataclass that is stored with the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, TypeAlias, get_args

from alexnet.errors import UnknownNameError, require
from alexnet.io.limits import MAX_STORED_SIDE

RESAMPLING = {"resize": "Lanczos", "crop_to_input": "bilinear, antialiased"}
"""The interpolation with which an image is resized, and then its crop."""
Resize: TypeAlias = Literal["shortest_edge", "stretch"]
StoreFormat: TypeAlias = Literal["pixels", "jpeg"]
"""How an image store keeps its images."""
RGB: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredForm:
    """The form in which an image store keeps its images: all square, and of one size.

    Raises:
        ConfigError: the side is no whole number, or out of range.
        UnknownNameError: `resize` or `store_format` is unknown.
    """

    resize: Resize = "shortest_edge"
    """How an image becomes square."""
    resize_size: int = 256
    """Side of the stored images in pixels."""
    store_format: StoreFormat = "pixels"
    """Whether they are kept as pixels or as JPEGs."""

    def __post_init__(self) -> None:
        if self.resize not in get_args(Resize):
            raise UnknownNameError("resize", str(self.resize), get_args(Resize))
        if self.store_format not in get_args(StoreFormat):
            raise UnknownNameError("store_format", str(self.store_format), get_args(StoreFormat))
        side = self.resize_size
        require(
            isinstance(side, Integral) and 1 <= side <= MAX_STORED_SIDE,
            f"the side of stored images (resize_size) must be a whole number from 1 to "
            f"{MAX_STORED_SIDE}, not {side!r}",
        )
        object.__setattr__(self, "resize_size", int(side))  # JSON takes no integer of numpy


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """Resize, pad, crop, and normalize with a mean and a standard deviation.

    An image is resized to `resize_size`, zero-padded by `padding` on each side, cropped to
    `crop_size`, and resized to `input_size` if that differs. Each value x on the 0-255 scale then
    becomes (x - mean) / std, per channel. With `has_mean_image` the mean is an image of the input's
    size instead (the center of the mean training image). It is stored beside the weights and
    subtracted from every crop, wherever the crop is.

    Raises:
        ConfigError: a size or a number out of range, or a crop larger than the padded image.
    """

    resize: Resize = "shortest_edge"
    """`shortest_edge` keeps the aspect ratio and crops the center; `stretch` changes the ratio."""
    resize_size: int = 256
    """Side of the stored square image."""
    padding: int = 0
    """Zero padding on each side before cropping."""
    crop_size: int = 227
    """Side of the square crop."""
    input_size: int | None = None
    """Side of the network's input, to which the crop is resized; None: the crop's side."""
    channels: Literal[1, 3] = 3
    """3 for RGB, 1 for gray."""
    mean: RGB = (0.0, 0.0, 0.0)
    """Per channel, on the 0-255 scale; only the first is used if `channels` is 1."""
    std: RGB = (1.0, 1.0, 1.0)
    """Per channel, on the 0-255 scale."""
    has_mean_image: bool = False
    """Whether a mean image is subtracted instead of `mean`."""

    @property
    def input_side(self) -> int:
        """Side of the network's input in pixels."""
        return self.crop_size if self.input_size is None else self.input_size

    @property
    def has_one_crop(self) -> bool:
        """Whether a crop is the whole padded image: ten crops are then the image and its mirror."""
        return self.crop_size == self.resize_size + 2 * self.padding

    def steps(self, *, normalized: bool = True) -> tuple[str, ...]:
        """Sentences on what is done to an image, in order.

        Args:
            normalized: False leaves out the last step, (x - mean) / std.
        """
        n, resampling = self.resize_size, RESAMPLING["resize"]
        steps = [f"stretch to {n} x {n} ({resampling})"]
        if self.resize == "shortest_edge":
            steps = [f"shortest edge to {n}, center {n} x {n} ({resampling})"]
        if self.padding:
            steps.append(f"{self.padding} pixels of zeros on each side")
        steps.append(f"center crop {self.crop_size}")
        if self.input_side != self.crop_size:
            steps.append(f"resize to {self.input_side} ({RESAMPLING['crop_to_input']})")
        steps.append("RGB" if self.channels == 3 else "gray (0.299 R + 0.587 G + 0.114 B)")
        steps.append("values of 0 to 255")
        return (*steps, *(self._normalization() if normalized else ()))

    def _normalization(self) -> tuple[str, str]:
        mean, std = (", ".join(f"{x:g}" for x in t[: self.channels]) for t in (self.mean, self.std))
        subtracted = "the mean image" if self.has_mean_image else f"({mean})"
        return f"minus {subtracted}", f"divided by ({std})"

    def __post_init__(self) -> None:
        sides = (self.resize_size, self.padding, self.crop_size, self.input_side)
        require(
            self.resize_size >= 1
            and self.input_size != 0
            and 0 <= min(sides) <= max(sides) <= MAX_STORED_SIDE,
            f"resize, padding, crop and input sizes {sides} must be from 0 to {MAX_STORED_SIDE}",
        )
        require(
            all(map(math.isfinite, (*self.mean, *self.std))),
            f"mean {self.mean} and std {self.std} must be finite",
        )
        available = self.resize_size + 2 * self.padding
        require(
            1 <= self.crop_size <= available,
            f"the network takes {self.crop_size} pixels but stored images have {available}; "
            f"set --resize-size to at least {self.crop_size - 2 * self.padding}",
        )
        require(min(self.std) > 0, f"std {self.std} must be above 0")


def to_255_scale(color: RGB) -> RGB:
    """Convert a color from the 0-1 scale to the 0-255 scale, rounded."""
    return 255 * color[0], 255 * color[1], 255 * color[2]


IMAGENET_MEAN = to_255_scale((0.485, 0.456, 0.406))
"""Mean red, green and blue of torchvision's weights, on the 0-255 scale."""

IMAGENET_STD = to_255_scale((0.229, 0.224, 0.225))
"""Standard deviations of torchvision's weights, on the 0-255 scale."""

CODE2012_DIVISOR = 1.1
"""Code2012 divides pixels by one plus the standard deviation of its color jitter."""

MEANS: dict[str, RGB] = {"none": (0, 0, 0), "imagenet": IMAGENET_MEAN}
"""The mean of each value of --mean that does not depend on the training images, 0 to 255."""

SCALES: dict[str, RGB] = {
    "pixels": (1, 1, 1),
    "unit": (255, 255, 255),
    "imagenet": IMAGENET_STD,
    "code2012": (CODE2012_DIVISOR,) * 3,
}
"""The divisor of each value of --scale that does not depend on the training images."""
