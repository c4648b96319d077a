"""Convolutions trained in bf16 on a CPU with AMX, by kernels of ours.

They leave some of the tile registers free, which oneDNN does not: where a core's other thread uses
tiles, too, as on most shared machines, oneDNN's take 1.3 to 1.5 times as long
(docs/performance.md).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.ops.library import call_kernel
from alexnet.ops.second_derivatives import differentiable_gradients
from alexnet.ops.tile_gradients import TILE, conv_gradients, has_tile_kernels
from alexnet.ops.tracing import is_bf16_step

NARROW = 16
"""Maximum width of the output at which the kernel of weight gradients is faster than oneDNN's at
every batch size. AlexNet's last three convolutions have rows of 13 pixels."""


def should_use_tiles(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether training is faster by `tile_conv2d` in this layer, for inputs [N, C, H, W]."""
    is_plain = layer.stride == layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    if not (is_plain and isinstance(layer.padding, tuple) and is_bf16_step(layer.weight, x)):
        return False
    rows, columns = map(int, layer.padding)
    return can_use_tiles(x, layer.weight, (rows, columns), layer.groups)


def can_use_tiles(x: Tensor, weight: Tensor, padding: tuple[int, int], groups: int = 1) -> bool:
    """Whether `tile_conv2d` supports these tensors, in bf16."""
    outputs, channels, *kernel = weight.shape
    is_whole = channels % TILE == 0 and outputs % (groups * TILE) == 0
    if not (is_whole and x.ndim == 4 and x.shape[1] == channels * groups and x.numel() > 0):
        return False
    sides = (x.shape[2 + i] + 2 * padding[i] for i in (0, 1))
    is_fitting = all(
        k <= side and 0 <= p < k for k, side, p in zip(kernel, sides, padding, strict=True)
    )
    return is_fitting and x.device.type == "cpu" and has_tile_kernels()


def tile_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], groups: int = 1
) -> Tensor:
    """`torch.nn.functional.conv2d` in bf16, without stride; needs the kernels.

    Args:
        x: [N, C, H, W].
        weight: [K, C / groups, h, w]; C / groups and K / groups are multiples of 16.
        bias: [K], or None.
        padding: rows and columns of zeros on each side, fewer than the kernels have.
        groups: of channels.

    Raises:
        ValueError: the kernels do not compute with these tensors (`can_use_tiles`), or there is not
            one bias per output channel.
        MemoryError: there is none for the tiles.
    """
    if not can_use_tiles(x, weight, padding, groups):
        shapes = f"{tuple(x.shape)} and {tuple(weight.shape)}"
        raise ValueError(f"no convolution by tiles here of inputs and weights of shapes {shapes}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"a bias of shape {tuple(bias.shape)} for {len(weight)} output channels")
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = _TileConv.apply(  # type: ignore[no-untyped-call]
            _channels_last(x.to(torch.bfloat16)), weight, bias, padding, groups
        )
    return y


class _TileConv(torch.autograd.Function):
    """A bf16 convolution by AMX tiles, with its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: tuple[int, int],
        groups: int,
    ) -> Tensor:
        kernels = _channels_last(weight.to(torch.bfloat16))
        ctx.save_for_backward(x, weight, bias, kernels)
        ctx.padding, ctx.groups = padding, groups
        bias = x.new_zeros(len(weight), dtype=torch.float32) if bias is None else bias.float()
        return _convolve(x, kernels, bias, padding, groups)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (x, weight, bias, kernels), (grad,) = ctx.saved_tensors, grad_outputs
        if torch.is_grad_enabled():
            plain = partial(_plain_conv, padding=ctx.padding, groups=ctx.groups)
            return *differentiable_gradients(plain, [x, weight, bias], grad), None, None
        needs_x, needs_weight, needs_bias, _, _ = ctx.needs_input_grad
        grad_x = grad_weight = grad_bias = None
        kernel, padding, groups = tuple(weight.shape[2:]), ctx.padding, ctx.groups
        if needs_x:
            rows, columns = (kernel[i] - 1 - padding[i] for i in (0, 1))
            zeros = x.new_zeros(x.shape[1], dtype=torch.float32)
            grad_x = _convolve(grad, kernels, zeros, (rows, columns), groups, is_turned=True)
        if needs_weight and grad.shape[3] > NARROW:
            grad_weight, grad_bias = torch.ops.aten.convolution_backward(
                grad, x, kernels, [len(kernels)], [1, 1], padding, [1, 1], False, [0, 0], groups,
                [False, True, needs_bias],
            )[1:]  # fmt: skip
        elif needs_weight:
            grad_weight, grad_bias = conv_gradients(x, grad, kernel, padding, groups)
        elif needs_bias:
            grad_bias = grad.float().sum((0, 2, 3))
        return grad_x, grad_weight, grad_bias if needs_bias else None, None, None


def _plain_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], groups: int
) -> Tensor:
    """`tile_conv2d` in plain torch operations."""
    kernels, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
    return F.conv2d(x, kernels, bias, padding=padding, groups=groups)


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    padding: tuple[int, int],
    groups: int,
    is_turned: bool = False,
) -> Tensor:
    """Convolve in bf16, channels last; with `is_turned` compute the gradient w.r.t. the input."""
    x, weight = _channels_last(x), _channels_last(weight)
    n, channels, height, width = x.shape
    outputs, kernel = len(bias), tuple(weight.shape[2:])
    rows, columns = (x.shape[2 + i] + 2 * padding[i] - kernel[i] + 1 for i in (0, 1))
    y = torch.empty(
        (n, outputs, rows, columns),
        dtype=torch.bfloat16,
        device=x.device,
        memory_format=torch.channels_last,
    )
    sizes = n, height, width, channels, rows, columns, outputs, groups, *kernel, *padding
    call_kernel("tile_conv2d", x, weight, bias.contiguous(), y, (*sizes, int(is_turned)))
    return y


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
