"""Checks of what a caller asks of a prediction."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from alexnet.errors import UsageError
from alexnet.inference.arrays import is_dense_uint8, is_tensor, tensor_text
from alexnet.io.text import short_repr

if TYPE_CHECKING:
    from torch import Tensor


def check_top(top: int) -> None:
    """Check the number of classes that are named per image.

    Raises:
        UsageError: it is not a whole number of at least 1.
    """
    if isinstance(top, bool) or not isinstance(top, Integral) or top < 1:
        raise UsageError(f"top must be a whole number of at least 1, not {top!r}")


def check_batch(batch: int) -> None:
    """Check the number of images that are computed at once.

    Raises:
        UsageError: it is not a whole number of at least 1.
    """
    if isinstance(batch, bool) or not isinstance(batch, Integral) or batch < 1:
        raise UsageError(f"batch must be a whole number of at least 1, not {short_repr(batch)}")


def check_crops(crops: int) -> None:
    """Check the number of crops per image.

    Raises:
        UsageError: it is neither 1 nor 10.
    """
    if isinstance(crops, bool) or not isinstance(crops, Integral) or crops not in (1, 10):
        raise UsageError(f"crops must be 1 or 10, not {crops!r}")


def checked_pixels(pixels: np.ndarray | Tensor, side: int) -> np.ndarray:
    """Check resized images, and return them as an array.

    Args:
        pixels: uint8 [N, side, side, 3], on any device.
        side: in pixels, the preprocessing's `resize_size`.

    Raises:
        UsageError: they are of another type or shape.
    """
    if is_tensor(pixels):
        found = tensor_text(pixels)
        pixels = pixels.detach().cpu().numpy() if is_dense_uint8(pixels) else pixels
    elif isinstance(pixels, np.ndarray):
        found = f"{pixels.dtype} {list(pixels.shape)}"
    else:
        found = f"a {type(pixels).__name__}"
    is_uint8 = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
    if is_uint8 and pixels.ndim == 4 and pixels.shape[1:] == (side, side, 3):
        return np.asarray(pixels)
    raise UsageError(
        f"pixels must be resized images, an array or a tensor uint8 [N, {side}, {side}, 3], "
        f"not {found}; classifier(images) takes images of any size"
    )


def check_min_probability(min_probability: float) -> None:
    """Check the probability below which a prediction is unsure.

    Raises:
        UsageError: it is not a number from 0 to 1.
    """
    is_number = isinstance(min_probability, Real) and not isinstance(min_probability, bool)
    if not is_number or not 0 <= min_probability <= 1:
        raise UsageError(f"min_probability must be from 0 to 1, not {min_probability!r}")
