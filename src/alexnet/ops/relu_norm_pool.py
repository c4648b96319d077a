"""ReLU, response norm and max pooling in one pass, forward and backward, for training.

Each of the three is limited by memory, so one pass takes half of their time on a CPU
(docs/performance.md). For the backward pass it keeps its input and a byte for each pooled value:
where the maximum was. The kernels are in C on a CPU, and in Triton on a GPU.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.ops.library import call_kernel, load_kernels
from alexnet.ops.norms import MAX_KERNEL_CHANNELS, has_triton_kernels, reference_norm
from alexnet.ops.second_derivatives import differentiable_gradients
from alexnet.ops.tensors import SUFFIX
from alexnet.ops.tracing import is_traced

ON_GPUS = False
"""Whether the Triton kernels are used on GPUs: not before a step with them has been measured on one
by `python benchmarks/gpu.py --only gains`."""
MAX_WINDOW = 15
"""Maximum side of a pooling window, whose positions have to fit into a byte."""


MAX_UNROLLED = 256
"""Maximum number of values that a pooled value is computed from on a GPU: the loops over them are
unrolled, and more of them take minutes to compile."""


class Norm(NamedTuple):
    """The constants of `response_norm`."""

    size: int
    alpha: float
    beta: float
    k: float
    groups: int


NO_NORM = Norm(0, 1.0, 1.0, 1.0, 1)


def can_use_one_pass(x: Tensor, norm: Norm, window: int) -> bool:
    """Whether `relu_norm_pool` supports these activations [N, C, H, W]."""
    if is_traced():
        return False
    is_trained = torch.is_grad_enabled() and x.requires_grad and x.ndim == 4
    if not is_trained or not x.numel() or not x.is_contiguous(memory_format=torch.channels_last):
        return False
    is_divisible = x.shape[1] % norm.groups == 0
    is_large = 1 <= window <= MAX_WINDOW and min(x.shape[2:]) >= window
    has_kernel = _has_c_kernel(x, norm) or (ON_GPUS and _has_triton_kernel(x, norm, window))
    return is_divisible and is_large and has_kernel


def _has_c_kernel(x: Tensor, norm: Norm) -> bool:
    has_room = norm == NO_NORM or max(x.shape[1], norm.size) <= MAX_KERNEL_CHANNELS
    is_supported = x.device.type == "cpu" and x.dtype in SUFFIX
    return has_room and is_supported and load_kernels() is not None


def _has_triton_kernel(x: Tensor, norm: Norm, window: int) -> bool:
    is_short = window**2 * max(norm.size, 1) <= MAX_UNROLLED
    return is_short and has_triton_kernels(x, norm.size)


def relu_norm_pool(x: Tensor, norm: Norm, window: int, stride: int) -> Tensor:
    """max_pool2d(response_norm(relu(x))): [N, C, H, W] to [N, C, H', W'], channels last.

    The outputs are those of the three operations to the bit. In bf16 a gradient goes to the largest
    value before rounding on a CPU, and to the first of the largest after rounding on a GPU.

    Args:
        x: activations for which `can_use_one_pass`.
        norm: its constants, or `NO_NORM`.
        window: side of a pooling window.
        stride: of the windows.
    """
    y: Tensor = _ReluNormPool.apply(x, norm, window, stride)  # type: ignore[no-untyped-call]
    return y


class _ReluNormPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: Norm, window: int, stride: int) -> Tensor:
        ctx.constants = norm, window, stride
        if x.is_cuda:
            from alexnet.ops import relu_norm_pool_triton

            y, places = relu_norm_pool_triton.forward(x, *norm, window, stride)
        else:
            y, places = _forward_in_c(x, norm, window, stride)
        ctx.save_for_backward(x, places)
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        x, places = ctx.saved_tensors
        constants: tuple[Norm, int, int] = ctx.constants
        norm, window, stride = constants
        if torch.is_grad_enabled():
            plain = partial(_three_operations, norm=norm, window=window, stride=stride)
            return *differentiable_gradients(plain, [x], grad_outputs[0]), None, None, None
        grad = grad_outputs[0].to(x.dtype)
        # x and places may have been stored and loaded in another order (saved-tensor hooks)
        x, grad, places = (
            t.contiguous(memory_format=torch.channels_last) for t in (x, grad, places)
        )
        if x.is_cuda:
            from alexnet.ops import relu_norm_pool_triton

            grad_x = relu_norm_pool_triton.backward(x, grad, places, *norm, window, stride)
        else:
            grad_x = _backward_in_c(x, grad, places, norm, window, stride)
        return grad_x, None, None, None


def _three_operations(x: Tensor, norm: Norm, window: int, stride: int) -> Tensor:
    """`relu_norm_pool` in plain torch operations, rounded where the kernels round."""
    y = (x if x.is_cuda else x.float()).relu()
    if norm != NO_NORM:
        y = reference_norm(y, *norm)
    return F.max_pool2d(y, window, stride).to(x.dtype)


def _forward_in_c(x: Tensor, norm: Norm, window: int, stride: int) -> tuple[Tensor, Tensor]:
    """The pooled values and the position of each maximum in its window, both [N, C, H', W']."""
    sizes, constants = _kernel_arguments(x, norm, window, stride)
    n, channels = x.shape[:2]
    y = x.new_empty(n, *sizes[-2:], channels)
    places = x.new_empty(y.shape, dtype=torch.uint8)
    call_kernel(f"relu_norm_pool_{SUFFIX[x.dtype]}_forward", x, y, places, sizes, *constants)
    return y.permute(0, 3, 1, 2), places.permute(0, 3, 1, 2)


def _backward_in_c(
    x: Tensor, grad: Tensor, places: Tensor, norm: Norm, window: int, stride: int
) -> Tensor:
    sizes, constants = _kernel_arguments(x, norm, window, stride)
    grad_x = torch.empty_like(x)
    kernel = f"relu_norm_pool_{SUFFIX[x.dtype]}_backward"
    call_kernel(kernel, x, grad, places, grad_x, sizes, *constants)
    return grad_x


def _kernel_arguments(
    x: Tensor, norm: Norm, window: int, stride: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The sizes and the constants that the C kernels take."""
    n, c, h, w = x.shape
    rows, columns = ((side - window) // stride + 1 for side in (h, w))
    sizes = n, h, w, norm.groups, c // norm.groups, norm.size, window, stride, rows, columns
    return sizes, (float(norm.alpha), float(norm.beta), float(norm.k))
