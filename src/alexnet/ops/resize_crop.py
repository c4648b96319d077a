"""Crops of stored images, resized by the antialiased bilinear filter and normalized, by a C kernel.

It is torch's `interpolate` with `antialias=True`, in a quarter of the time
(docs/performance.md); this module needs no torch.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from alexnet.ops.library import KernelLibrary

if TYPE_CHECKING:
    from torch import Tensor

A = TypeVar("A", "Tensor", np.ndarray)


class BilinearFilter(NamedTuple):
    """What each pixel of a resized row is the sum of."""

    first: np.ndarray
    """int64 [side]: the first of the pixels."""
    weights: np.ndarray
    """float32 [side, taps]: of that pixel and the next ones."""


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


def resize_crop(
    kernels: KernelLibrary,
    pixels: A,
    place: tuple[int, int, bool],
    size: int,
    mean: A,
    std: A,
    crops: A,
) -> A:
    """A crop of every image, resized and normalized, written into `crops`.

    Args:
        kernels: of this machine.
        pixels: uint8 [N, S, S, 3], contiguous.
        place: top, left, and whether the crop is mirrored.
        size: of the crop, in pixels.
        mean: float32 [side, side, 3], contiguous.
        std: float32 [3].
        crops: float32 [N, side, side, 3], contiguous; it changes, and is returned.
    """
    count, side = crops.shape[:2]
    first, weights = bilinear_filter(size, side)
    sizes = (count, pixels.shape[1], *map(int, place), size, side, weights.shape[1])
    kernels.call("resize_crop_normalize", pixels, first, weights, mean, std, crops, *sizes)
    return crops
