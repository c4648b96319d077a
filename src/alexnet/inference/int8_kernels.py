"""The C kernels of int8 inference, on tensors and on arrays: feature maps are [N, H, W, C].

Layers of a network (`int8.py`, `fused.py`) compute with them on torch's tensors, a frozen network
(`frozen.py`) on numpy's arrays, which have the bits of bf16 in uint16.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np

from alexnet.models.layers import ResponseNorm
from alexnet.ops.library import KernelLibrary

if TYPE_CHECKING:
    import torch
    from torch import Tensor

A = TypeVar("A", "np.ndarray", "Tensor")
Type: TypeAlias = Literal["f32", "bf16", "u8", "i32"]
"""Types of numbers; kernels' names end in one of the first two."""
TYPES: dict[str, Type] = {
    "torch.float32": "f32", "torch.bfloat16": "bf16", "float32": "f32", "uint16": "bf16",
}  # fmt: skip
"""Types of activations by the name of their dtype."""
TORCH_DTYPES: dict[Type, str] = {
    "f32": "float32", "bf16": "bfloat16", "u8": "uint8", "i32": "int32",
}  # fmt: skip
NUMPY_DTYPES: dict[Type, np.dtype] = {
    "f32": np.dtype(np.float32), "bf16": np.dtype(np.uint16), "u8": np.dtype(np.uint8),
    "i32": np.dtype(np.int32),
}  # fmt: skip
STEP_WORDS = 16
"""Most words of four bytes that the kernels multiply at a time: a row of a tile (AMX)."""
READ_PADDING = 4 * STEP_WORDS - 1
"""Bytes after the quantized activations that the kernels may read and multiply by 0."""
MIN_IMAGES_AT_A_TIME = 8
"""Fewest images that a quantized convolution computes at a time, to stay in the CPU's caches."""
BYTES_AT_A_TIME = 1 << 20
"""Bytes of quantized inputs and outputs up to which it computes more images at a time."""
MIN_MAPS_AT_A_TIME = 32
"""Fewest images that an int8 network computes at a time, to limit the feature maps in memory."""
VALUES_AT_A_TIME = 1 << 16
"""Numbers of values of the images up to which it computes more of them at a time."""
QUANTIZATION_BYTES = 8
"""Bytes of an image's scale, float32, and zero point, int32."""
ALIGNMENT = 64
"""Alignment of results in bytes: a cache line."""


class PackedWeights(NamedTuple, Generic[A]):
    """A layer's int8 weights in the order in which the C kernels read them.

    weight = quantized * scale.
    """

    blocks: A
    """int8 [blocks, words of all kernel rows, outputs of a block * 4]."""
    scales: A
    """float32 [outputs]."""
    weight_sums: A
    """int32 [outputs]: the sum of each output's quantized weights. It corrects for the inputs'
    zero point."""
    bias: A
    """float32 [outputs]."""


@dataclass(frozen=True, slots=True)
class Window:
    """Kernel size, stride and groups of a convolution, and the zeros around its input."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    groups: int
    padding: tuple[int, int]
    """Rows and columns of zeros before an image and after it."""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output for activations of this size.

        Raises:
            ValueError: the padded activations are smaller than the kernel.
        """
        height, width = height + sum(self.padding), width + sum(self.padding)
        (kernel_h, kernel_w), (stride_h, stride_w) = self.kernel, self.stride
        if height < kernel_h or width < kernel_w:
            raise ValueError(f"feature maps of {height} x {width} are smaller than the kernel")
        return (height - kernel_h) // stride_h + 1, (width - kernel_w) // stride_w + 1


def maps_at_a_time(image_values: int) -> int:
    """The number of images of `image_values` values that an int8 network computes at a time."""
    return max(MIN_MAPS_AT_A_TIME, VALUES_AT_A_TIME // max(image_values, 1))


def int8_conv2d(
    x: A,
    weights: PackedWeights[A],
    window: Window,
    is_bf16: bool,
    clamp_min: float,
    kernels: KernelLibrary,
) -> A:
    """Convolve activations [N, H, W, C] to float32 or bf16 [N, H', W', K], clamped at `clamp_min`.

    The activations are quantized to uint8, each image by its own range (`ops/csrc/quantize.h`).
    They must be contiguous, or a view of contiguous [N, C, H, W].

    Raises:
        ValueError: the activations are smaller than the kernel.
    """
    n, h, w, c = x.shape
    out_h, out_w = window.output_size(h, w)
    y: A = _empty(x, (n, out_h, out_w, len(weights.bias)), "bf16" if is_bf16 else "f32")
    padded_h, padded_w = h + sum(window.padding), w + sum(window.padding)
    at_a_time = min(n, _images_at_a_time(x, y))
    memory, bytes_at = _memory_of_bytes(x, at_a_time, padded_h * padded_w * c)
    inputs: tuple[int, ...] = (n, h, w, window.groups, c // window.groups)
    padded: tuple[int, ...] = (window.padding[0], padded_h, padded_w, not _is_contiguous(x))
    parts: tuple[int, ...] = (_type(x) == "bf16", at_a_time, bytes_at)
    sizes = *inputs, *padded, *parts, *y.shape[1:], *window.kernel, *window.stride
    kernels.call(f"int8_conv2d_{_type(y)}", x, *weights, y, memory, sizes, clamp_min)
    return y


def _images_at_a_time(x: A, y: A) -> int:
    """The images that a convolution computes at a time; a quantized input has one byte."""
    image_bytes = prod(x.shape[1:]) + prod(y.shape[1:]) * y.itemsize
    return max(MIN_IMAGES_AT_A_TIME, BYTES_AT_A_TIME // image_bytes)


def int8_linear(x: A, weights: PackedWeights[A], clamp_min: float, kernels: KernelLibrary) -> A:
    """Multiply activations [N, inputs] by the weights: float32 [N, outputs] >= `clamp_min`."""
    n, inputs = x.shape
    y = _empty(x, (n, len(weights.bias)), "f32")
    memory, bytes_at = _memory_of_bytes(x, n, inputs)
    sizes = n, inputs, y.shape[1], _type(x) == "bf16", bytes_at
    kernels.call("int8_linear", x, *weights, y, memory, sizes, clamp_min)
    return y


def _memory_of_bytes(x: A, images: int, image_bytes: int) -> tuple[A, int]:
    """Memory for the scales, zero points and values of quantized images, and the values' offset."""
    bytes_at = -(-QUANTIZATION_BYTES * images // ALIGNMENT) * ALIGNMENT
    return _empty(x, (bytes_at + images * image_bytes + READ_PADDING,), "u8"), bytes_at


def relu_norm_pool(
    x: A, norm: ResponseNorm | None, window: int, stride: int, kernels: KernelLibrary
) -> A:
    """Apply ReLU, response norm unless None, and max pooling: [N, H, W, C] to [N, H', W', C].

    Raises:
        ValueError: the feature maps are smaller than the pooling window, or their channels cannot
            be split into the norm's groups.
        MemoryError: there is no memory for the buffered lines.
    """
    n, h, w, c = x.shape
    if min(h, w) < window:
        raise ValueError(f"feature maps of {h} x {w}, smaller than the window, {window}")
    out_h, out_w = ((side - window) // stride + 1 for side in (h, w))
    y = _empty(x, (n, out_h, out_w, c), _type(x))
    groups = norm.groups if norm else 1
    if c % groups:
        raise ValueError(f"{c} channels cannot be split into {groups} groups")
    constants: tuple[float, ...] = (0, 0.0, 1.0, 1.0)  # size 0 stands for no norm
    if norm:
        constants = _constants(norm)
    sizes: tuple[float, ...] = (n, h, w, groups, c // groups)
    sizes = *sizes, *constants, window, stride, out_h, out_w
    has_failed = kernels.call(f"relu_norm_pool_{_type(x)}", x, y, *sizes)
    if has_failed:
        raise MemoryError(f"no memory for the lines of activations {c} x {h} x {w}")
    return y


def response_norm(x: np.ndarray, norm: ResponseNorm, kernels: KernelLibrary) -> np.ndarray:
    """`ops.response_norm` of activations [N, H, W, C] in an array."""
    channels = x.shape[-1] // norm.groups
    y = _empty(x, x.shape, _type(x))
    rows = x.size // channels
    kernels.call(f"response_norm_{_type(x)}", x, y, rows, channels, *_constants(norm))
    return y


def _constants(norm: ResponseNorm) -> tuple[int, float, float, float]:
    return norm.size, float(norm.alpha), float(norm.beta), float(norm.k)


def _type(x: Any) -> Type:
    """The type of activations, from their dtype."""
    return TYPES[str(x.dtype)]


def _is_contiguous(x: A) -> bool:
    return x.flags.c_contiguous if isinstance(x, np.ndarray) else x.is_contiguous()


@cache
def _torch_dtype(type_: Type) -> torch.dtype:
    import torch

    dtype: torch.dtype = getattr(torch, TORCH_DTYPES[type_])
    return dtype


def _empty(like: A, shape: tuple[int, ...], type_: Type) -> A:
    """An uninitialized tensor or array like `like`; its memory is aligned to a cache line."""
    if not isinstance(like, np.ndarray):
        return like.new_empty(shape, dtype=_torch_dtype(type_))
    dtype = NUMPY_DTYPES[type_]
    memory = np.empty(prod(shape) * dtype.itemsize + ALIGNMENT, np.uint8)
    return np.ndarray(shape, dtype, memory, -memory.ctypes.data % ALIGNMENT)
