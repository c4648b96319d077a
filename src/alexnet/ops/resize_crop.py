"""Crops of stored images, resized by the antialiased bilinear filter and normalized, by a C kernel.

It is torch's `interpolate` with `antialias=True`, in a quarter of the time
(docs/performance.md); this module needs no torch.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from alexnet.ops.arrays import check_array
from alexnet.ops.library import KernelLibrary

if TYPE_CHECKING:
    from torch import Tensor

A = TypeVar("A", "Tensor", np.ndarray)


class BilinearFilter(NamedTuple):
    """The pixels, and their weights, whose sum each pixel of a resized row is."""

    first: np.ndarray
    """int64 [side]: index of the first pixel that each resized pixel is computed from."""
    weights: np.ndarray
    """float32 [side, taps]: weights of that pixel and of the next ones."""


@functools.lru_cache(maxsize=16)
def bilinear_filter(size: int, side: int) -> BilinearFilter:
    """The filter from rows of `size` pixels to rows of `side`, with the bits of torch's weights.

    A triangle around the middle of each pixel, as wide as a resized pixel where that is wider.
    """
    scale = np.float32(size) / np.float32(side)
    width = max(scale, np.float32(1))
    middle = scale * (np.arange(side, dtype=np.float32) + np.float32(0.5))
    first = np.maximum((middle - width).astype(np.float64) + 0.5, 0).astype(np.int64)
    end = np.minimum(((middle + width).astype(np.float64) + 0.5).astype(np.int64), size)
    pixels = first[:, None] + np.arange((end - first).max())
    distance = (pixels.astype(np.float32) - middle[:, None]).astype(np.float64) + 0.5
    shares = 1 - np.abs((distance * np.float64(1 / width)).astype(np.float32))
    shares = np.where(pixels < end[:, None], np.maximum(shares, 0), np.float32(0))
    total = np.add.accumulate(shares, axis=1)[:, -1:]  # in order, as torch adds them
    return BilinearFilter(first, shares / total)


def box_of(top: int, left: int, size: int, is_mirrored: bool) -> tuple[float, ...]:
    """The crop of `size` pixels at (top, left) as a row of `resize_crop`'s `boxes`."""
    return (left + size - 1, -1.0, top, 1.0) if is_mirrored else (left, 1.0, top, 1.0)


def resize_crop(
    kernels: KernelLibrary, pixels: A, boxes: A, shifts: A, size: int, mean: A, std: A, crops: A
) -> A:
    """Crop, resize, shift in color and normalize every image, into `crops`.

    Args:
        kernels: of this machine.
        pixels: uint8 [N, S, S, 3].
        boxes: float32 [N, 4], as `random_crop_boxes` has them: at whole pixels, steps of 1 or -1,
            and inside the images, which is not checked.
        shifts: float32 [N, 3], added to every pixel of a crop before it is normalized.
        size: of the crops, in pixels.
        mean: float32 [side, side, 3].
        std: float32 [3].
        crops: float32 [N, side, side, 3]; it changes, and is returned.

    All arrays are contiguous.

    Raises:
        ValueError: an array has another type or shape.
    """
    count, side = crops.shape[:2]
    stored = pixels.shape[1]
    check_array("pixels", pixels, "uint8", (count, stored, stored, 3))
    check_array("boxes", boxes, "float32", (count, 4))
    check_array("shifts", shifts, "float32", (count, 3))
    check_array("mean", mean, "float32", (side, side, 3))
    check_array("std", std, "float32", (3,))
    check_array("crops", crops, "float32", (count, side, side, 3))
    first, weights = bilinear_filter(size, side)
    sizes = (count, stored, size, side, weights.shape[1])
    arrays = (pixels, boxes, shifts, first, weights, mean, std, crops)
    kernels.call("resize_crop_normalize", *arrays, *sizes)
    return crops
