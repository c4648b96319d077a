"""Checks of the images that a transform is given; the errors say how to put the axes in order."""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import UsageError

MAX_CHANNELS = 4
"""Most channels of an image. An axis that is longer is one of pixels, if another is not."""


def check_stored(pixels: Tensor, preprocessing: Preprocessing) -> None:
    """Check that images are stored ones, uint8 [B, S, S, 3], and not smaller than a crop.

    Raises:
        UsageError: they have another type or shape.
    """
    smallest = max(preprocessing.crop_size - 2 * preprocessing.padding, 1)
    if isinstance(pixels, Tensor) and pixels.dtype == torch.uint8 and pixels.ndim == 4:
        _, height, width, channels = pixels.shape
        if height == width >= smallest and channels == 3:
            return
    hint = ""
    if not isinstance(pixels, Tensor):
        hint = "; torch.from_numpy(array) makes one"
    elif pixels.ndim == 3:
        hint = "; images[None] has the batch axis"
    elif pixels.ndim == 4 and pixels.shape[1] <= MAX_CHANNELS < pixels.shape[3]:
        hint = "; use .permute(0, 2, 3, 1), or load_splits without channels_first"
    raise UsageError(
        f"stored images are a tensor uint8 [B, S, S, 3], here with S of at least {smallest}, "
        f"not {_text(pixels)}{hint}"
    )


def check_images(images: Tensor, channels: tuple[int, ...] = (), *, square: bool = False) -> None:
    """Check that images are float [B, C, h, w], and not [B, h, w, C].

    Args:
        images: a batch.
        channels: the numbers of channels that are allowed; (): all.
        square: whether they must be square.

    Raises:
        UsageError: they have another type or shape.
    """
    is_float = isinstance(images, Tensor) and images.is_floating_point()
    if is_float and images.ndim == 4:
        _, c, height, width = images.shape
        is_allowed = c in channels if channels else not width <= MAX_CHANNELS < c
        if is_allowed and (height == width or not square):
            return
    wanted = ", ".join(("B", " or ".join(map(str, channels)) or "C", *("SS" if square else "hw")))
    raise UsageError(f"images are a tensor float [{wanted}], not {_text(images)}{_remedy(images)}")


def _remedy(images: Tensor) -> str:
    """The end of a message: what makes images of such a tensor; "" if that is not known."""
    if not isinstance(images, Tensor):
        return "; torch.from_numpy(array) makes one"
    is_last = images.ndim == 4 and images.shape[3] <= MAX_CHANNELS < images.shape[1]
    calls = "[None]" if images.ndim == 3 else ".permute(0, 3, 1, 2)" * is_last
    calls += "" if images.is_floating_point() else ".float()"
    return f"; use images{calls}" if calls else ""


def _text(images: object) -> str:
    """Type and shape, for messages: "uint8 [8, 160, 160, 3]"."""
    dtype, shape = getattr(images, "dtype", None), getattr(images, "shape", None)
    if dtype is None or shape is None:
        return f"a {type(images).__name__}"
    array = "" if isinstance(images, Tensor) else "an array "
    return f"{array}{str(dtype).removeprefix('torch.')} {list(shape)}"
