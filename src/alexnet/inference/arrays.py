"""Images in numpy arrays (channels last) and torch tensors (channels first, or RGB last)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from alexnet.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

ARRAYS = "uint8 [H, W], [H, W, 3], [N, H, W] or [N, H, W, 3] (3: RGB; 1, 2 and 4: gray, LA, RGBA)"
TENSORS = (
    "uint8 [H, W], [3, H, W], [N, 3, H, W] (3: RGB; 1 and 4: gray, RGBA), [H, W, 3] or [N, H, W, 3]"
)
ARRAY_CHANNELS, TENSOR_CHANNELS = (1, 2, 3, 4), (1, 3, 4)


def array_images(array: np.ndarray) -> list[np.ndarray]:
    """The images in an array: uint8 [H, W] or [H, W, C] each, as views.

    An array of three axes whose last has 1 to 4 values is one image [H, W, C], else it is gray
    images [N, H, W].

    Raises:
        UsageError: another type or shape, or [3, H, W], which may be one image or three.
    """
    shape = array.shape
    has_channels = array.ndim > 2 and shape[-1] in ARRAY_CHANNELS
    if array.ndim == 3 and not has_channels and shape[0] == 3:
        raise UsageError(
            f"an array {list(shape)} may be one RGB image or three gray ones: use "
            "array.transpose(1, 2, 0) for one image, list(array) for three"
        )
    is_one = array.ndim == 2 or (array.ndim == 3 and has_channels)
    is_batch = array.ndim == 3 or (array.ndim == 4 and has_channels)
    if array.dtype != np.uint8 or not (is_one or is_batch) or 0 in shape[not is_one :]:
        raise UsageError(
            f"an image array is {ARRAYS}, not {array.dtype} {list(shape)}"
            + _hint(array.dtype.kind == "f", array.ndim == 4, "array.transpose(0, 2, 3, 1)")
        )
    images = [array] if is_one else list(array)
    return [image[..., 0] if image.shape[2:] == (1,) else image for image in images]


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether `value` is a torch tensor; it cannot be one if torch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_dense_uint8(tensor: Tensor) -> bool:
    """Whether a tensor can be converted to a numpy array of uint8."""
    import torch

    return tensor.dtype == torch.uint8 and tensor.layout == torch.strided and not tensor.is_meta


def tensor_text(tensor: Tensor) -> str:
    """Type and shape of a tensor, for messages: "float32 [3, 8, 8]"."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def tensor_images(tensor: Tensor) -> list[np.ndarray]:
    """The images in a tensor on any device: uint8 [H, W] or [H, W, C] each.

    Raises:
        UsageError: another type or shape, or one such as [3, H, 3], whose channels may be first or
            last.
    """
    shape = tensor.shape
    has_axes = tensor.ndim in (3, 4)
    is_first = has_axes and shape[-3] in TENSOR_CHANNELS
    is_last = has_axes and shape[-1] == 3
    if is_first and is_last:
        order = "0, 2, 3, 1" if tensor.ndim == 4 else "1, 2, 0"
        raise UsageError(
            f"a tensor {list(shape)} may have its channels first or last: use "
            f"tensor.permute({order}).numpy() if they are first, tensor.numpy() if they are last"
        )
    is_batch = tensor.ndim == 4
    is_image = (tensor.ndim == 2 or is_first or is_last) and 0 not in shape[is_batch:]
    if not is_image or not is_dense_uint8(tensor):
        is_transposed = has_axes and not is_first and shape[-1] in TENSOR_CHANNELS
        remedy = f"tensor.permute({'0, 3, 1, 2' if is_batch else '2, 0, 1'})"
        raise UsageError(
            f"an image tensor is {TENSORS}, not {tensor_text(tensor)}"
            + _hint(tensor.is_floating_point(), is_transposed and not is_last, remedy)
        )
    array = tensor.detach().cpu().numpy()
    return array_images(np.moveaxis(array, -3, -1) if is_first else array)


def _hint(is_float: bool, is_transposed: bool, remedy: str) -> str:
    """The end of a message on how to convert an array of another type or order of axes."""
    if is_float:
        return "; predict normalizes by itself and wants the values 0 to 255 as uint8"
    return f"; {remedy} changes the order of the axes" if is_transposed else ""
