"""Checks of the images that a transform is given; the errors say how to put the axes in order."""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import UsageError

NUM_CHANNELS = (1, 3, 4)
"""How many channels images have: of gray, RGB and RGBA."""


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
    elif pixels.ndim == 4 and pixels.shape[1] in NUM_CHANNELS and pixels.shape[3] > 4:
        hint = "; use .permute(0, 2, 3, 1), or load_splits without channels_first"
    raise UsageError(
        f"stored images are a tensor uint8 [B, S, S, 3], here with S of at least {smallest}, "
        f"not {_text(pixels)}{hint}"
    )


def check_images(
    images: Tensor,
    channels: tuple[int, ...] = (),
    *,
    square: bool = False,
    any_dtype: bool = False,
) -> None:
    """Check that images are float [B, C, h, w], and do not look like [B, S, S, C].

    Args:
        images: a batch.
        channels: the numbers of channels that are allowed; (): all.
        square: whether they must be square.
        any_dtype: whether they may be of another type than float.

    Raises:
        UsageError: they have another type or shape.
    """
    is_typed = isinstance(images, Tensor) and (any_dtype or images.is_floating_point())
    if is_typed and images.ndim == 4:
        _, c, height, width = images.shape
        is_allowed = c in channels if channels else not _may_be_channels_last(images)
        if is_allowed and (height == width or not square):
            return
    shape = ", ".join(("B", " or ".join(map(str, channels)) or "C", *("SS" if square else "hw")))
    wanted = f"[{shape}]" if any_dtype else f"float [{shape}]"
    remedy = _remedy(images, any_dtype=any_dtype)
    raise UsageError(f"images are a tensor {wanted}, not {_text(images)}{remedy}")


def check_batch(images: Tensor) -> None:
    """Check that images, or anything else, are a batch of numbers, float [B, ...].

    Raises:
        UsageError: they have another type or shape.
    """
    if isinstance(images, Tensor) and images.is_floating_point() and images.ndim:
        return
    remedy = ""
    if not isinstance(images, Tensor):
        remedy = "; torch.from_numpy(array) makes one"
    elif not images.is_floating_point():
        remedy = "; use images.float()"
    raise UsageError(f"images are a tensor float [B, ...], not {_text(images)}{remedy}")


def check_labels(labels: Tensor, count: int) -> None:
    """Check that labels are those of `count` images, [count].

    Raises:
        UsageError: they have another type or shape.
    """
    if not isinstance(labels, Tensor) or labels.shape != (count,):
        raise UsageError(f"labels are a tensor [{count}], one of each image, not {_text(labels)}")


def _may_be_channels_last(images: Tensor) -> bool:
    """Whether images of four axes are more likely [B, S, S, C] than feature maps [B, C, h, w]."""
    _, first, second, last = images.shape
    return last in NUM_CHANNELS and first == second > last


def _remedy(images: Tensor, *, any_dtype: bool) -> str:
    """The end of a message: what makes images of such a tensor; "" if that is not known."""
    if not isinstance(images, Tensor):
        return "; torch.from_numpy(array) makes one"
    call = "" if any_dtype or images.is_floating_point() else ".float()"
    if images.ndim == 3:
        return f"; if it is one image, images[None]{call} is a batch"
    if images.ndim == 4 and _may_be_channels_last(images):
        return f"; if the channels are last, use images.permute(0, 3, 1, 2){call}"
    return f"; use images{call}" if call else ""


def _text(images: object) -> str:
    """Type and shape, for messages: "uint8 [8, 160, 160, 3]"."""
    dtype, shape = getattr(images, "dtype", None), getattr(images, "shape", None)
    if dtype is None or shape is None:
        return f"a {type(images).__name__}"
    array = "" if isinstance(images, Tensor) else "an array "
    return f"{array}{str(dtype).removeprefix('torch.')} {list(shape)}"
