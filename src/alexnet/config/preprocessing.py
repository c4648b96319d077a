"""How a picture becomes a network's input: a plain value that is stored with the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from alexnet.errors import ConfigError

Resize: TypeAlias = Literal["shortest_edge", "stretch"]
RGB: TypeAlias = tuple[float, float, float]
MOST_PIXELS = 4096
"""The largest side of a stored picture, of its padding and of what is cut from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """Resize, pad, crop, subtract the mean, divide.

    A picture is resized to `resize_size`, padded by `padding` zeros on each side, cropped to
    `crop_size`, and resized to the input where that is another; then each value x on the 0-255
    scale becomes (x - mean) / divisor, channel by channel. With `has_mean_image` the mean is a
    picture of the input's size instead (the centre of the mean training picture), kept beside the
    weights and subtracted at every crop position.
    """

    resize: Resize = "shortest_edge"
    """`shortest_edge` keeps the aspect and cuts the centre; `stretch` keeps all, not the aspect."""
    resize_size: int = 256
    """Side of the stored square picture."""
    padding: int = 0
    """Zeros added on each side before cropping."""
    crop_size: int = 227
    """Side of the square that is cut from a stored picture."""
    input_size: int = 0
    """Side of the network's input, to which the crop is resized; 0: the crop as it is."""
    channels: Literal[1, 3] = 3
    """3 for RGB, 1 for grey."""
    mean: RGB = (0.0, 0.0, 0.0)
    """Per channel, on the 0-255 scale; the first is the grey one where channels is 1."""
    std: RGB = (1.0, 1.0, 1.0)
    """Per channel."""
    has_mean_image: bool = False
    """Whether a mean picture takes the place of `mean`."""

    @property
    def side(self) -> int:
        """Side of the network's input in pixels."""
        return self.input_size or self.crop_size

    def __post_init__(self) -> None:
        sides = (self.resize_size, self.padding, self.crop_size, self.input_size)
        if self.resize_size < 1 or not 0 <= min(sides) <= max(sides) <= MOST_PIXELS:
            raise ConfigError(
                f"store, pad, crop and input pixels {sides} must be from 0 to {MOST_PIXELS}"
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))):
            raise ConfigError(f"mean {self.mean} and divisor {self.std} must be finite")
        room = self.resize_size + 2 * self.padding
        if not 1 <= self.crop_size <= room:
            raise ConfigError(
                f"the network takes {self.crop_size} pixels but stored pictures have {room}; "
                f"set --resize-size to at least {self.crop_size - 2 * self.padding}"
            )
        if min(self.std) <= 0:
            raise ConfigError(f"divisor {self.std} must be above 0")


TORCHVISION_MEAN = (0.485, 0.456, 0.406)
"""Red, green and blue that torchvision's published weights expect to be subtracted, 0-1 scale."""


TORCHVISION_STD = (0.229, 0.224, 0.225)
"""What torchvision's published weights expect to be divided by, 0-1 scale."""


CODE2012_DIVISOR = 1.1
"""Code2012 divides pixels by one plus the strength of the colour noise."""


def to_255_scale(unit: RGB) -> RGB:
    """A colour of the 0-1 scale on the 0-255 scale."""
    return 255 * unit[0], 255 * unit[1], 255 * unit[2]


IMAGENET_MEAN = to_255_scale(TORCHVISION_MEAN)
"""Mean red, green and blue of torchvision's weights, on the 0-255 scale."""


IMAGENET_STD = to_255_scale(TORCHVISION_STD)
"""Divisors of torchvision's weights, on the 0-255 scale."""
