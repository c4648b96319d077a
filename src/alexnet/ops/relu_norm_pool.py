"""ReLU, response norm and max pooling in one pass, forward and backward, for training on the CPU.

Each of the three is limited by memory, so one pass takes half of their time (docs/performance.md).
For the backward pass it keeps its input and a byte for each pooled value: where the maximum was.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from alexnet.ops.library import call_kernel, load_kernels
from alexnet.ops.norms import MAX_KERNEL_CHANNELS
from alexnet.ops.tensors import SUFFIX
from alexnet.ops.tracing import is_traced

MAX_WINDOW = 15
"""Side of a window whose places fit into a byte."""


class Norm(NamedTuple):
    """The constants of `response_norm`."""

    size: int
    alpha: float
    beta: float
    k: float
    groups: int


NO_NORM = Norm(0, 1.0, 1.0, 1.0, 1)


def can_use_one_pass(x: Tensor, norm: Norm, window: int) -> bool:
    """Whether `relu_norm_pool` computes with these activations [N, C, H, W]."""
    if is_traced():
        return False
    is_trained = torch.is_grad_enabled() and x.requires_grad and x.ndim == 4
    if not is_trained or x.device.type != "cpu" or x.dtype not in SUFFIX or not x.numel():
        return False
    if not x.is_contiguous(memory_format=torch.channels_last):
        return False
    is_divisible = x.shape[1] % norm.groups == 0
    has_room = norm == NO_NORM or max(x.shape[1], norm.size) <= MAX_KERNEL_CHANNELS
    is_large = min(x.shape[2:]) >= window and window <= MAX_WINDOW
    return is_divisible and has_room and is_large and load_kernels() is not None


def relu_norm_pool(x: Tensor, norm: Norm, window: int, stride: int) -> Tensor:
    """max_pool2d(response_norm(relu(x))): [N, C, H, W] to [N, C, H', W'], channels last.

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
        n, c, h, w = x.shape
        rows, columns = ((side - window) // stride + 1 for side in (h, w))
        ctx.sizes = n, h, w, norm.groups, c // norm.groups, norm.size, window, stride, rows, columns
        ctx.constants = float(norm.alpha), float(norm.beta), float(norm.k)
        y = x.new_empty(n, rows, columns, c)
        places = x.new_empty(y.shape, dtype=torch.uint8)
        call_kernel(
            f"relu_norm_pool_{SUFFIX[x.dtype]}_forward", x, y, places, ctx.sizes, *ctx.constants
        )
        ctx.save_for_backward(x, places)
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        x, places = ctx.saved_tensors
        grad = grad_outputs[0].to(x.dtype).contiguous(memory_format=torch.channels_last)
        grad_x = torch.empty_like(x)
        kernel = f"relu_norm_pool_{SUFFIX[x.dtype]}_backward"
        call_kernel(kernel, x, grad, places, grad_x, ctx.sizes, *ctx.constants)
        return grad_x, None, None, None
