"""Where the network's input lies on the whole image."""

from __future__ import annotations

from typing import NamedTuple

from alexnet.config.preprocessing import Preprocessing


class CropWindow(NamedTuple):
    """The part of an image that the network gets, in fractions of the image's width and height.

    Values below 0 and above 1 lie in the zero padding around the image.
    """

    left: float
    top: float
    right: float
    bottom: float


def crop_window(width: int, height: int, preprocessing: Preprocessing) -> CropWindow:
    """The center crop of an upright image of `width` x `height` pixels."""
    p = preprocessing
    size = p.resize_size
    first = (size + 2 * p.padding - p.crop_size) // 2 - p.padding
    near, far = first / size, (first + p.crop_size) / size
    used_x, used_y = 1.0, 1.0  # shares of the width and height that are resized
    if p.resize == "shortest_edge":
        used_x, used_y = min(1, height / width), min(1, width / height)
    left, top = (1 - used_x) / 2, (1 - used_y) / 2
    return CropWindow(
        left + near * used_x, top + near * used_y, left + far * used_x, top + far * used_y
    )
