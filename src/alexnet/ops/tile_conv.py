"""Convolutions of narrow maps: a CPU with AMX gets their weight gradients from a kernel of ours.

AlexNet's last three convolutions have rows of 13 pixels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from alexnet.ops.tile_gradients import TILE, conv_gradients, has_tile_gradients
from alexnet.ops.tracing import is_bf16_step

NARROW = 16
"""Columns of the output up to which the kernel is faster than oneDNN at every batch size."""


def should_use_tiles(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether training is faster by `tile_conv2d` in this layer, for inputs [N, C, H, W]."""
    is_plain = layer.stride == layer.dilation == (1, 1) and x.numel() > 0
    if not (is_plain and is_bf16_step(layer.weight, x)):
        return False
    channels, outputs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    if channels % TILE or outputs % TILE or not isinstance(layer.padding, tuple):
        return False
    columns = x.shape[3] + 2 * layer.padding[1] - layer.kernel_size[1] + 1
    return columns <= NARROW and has_tile_gradients()


def tile_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], groups: int = 1
) -> Tensor:
    """`torch.nn.functional.conv2d` in bf16, without stride; needs the kernel.

    Args:
        x: [N, C, H, W].
        weight: [K, C / groups, h, w]; C / groups and K / groups are multiples of 16.
        bias: [K], or None.
        padding: rows and columns of zeros on each side.
        groups: of channels.
    """
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = _TileGradient.apply(  # type: ignore[no-untyped-call]
            x.to(torch.bfloat16), weight, bias, padding, groups
        )
    return y


class _TileGradient(torch.autograd.Function):
    """A convolution whose gradients of weight and bias are computed by the kernel."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: tuple[int, int],
        groups: int,
    ) -> Tensor:
        weight = weight.to(torch.bfloat16)
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.groups = padding, groups
        bias = None if bias is None else bias.to(torch.bfloat16)
        return F.conv2d(x, weight, bias, 1, padding, groups=groups)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (x, weight), (grad,) = ctx.saved_tensors, grad_outputs
        needs_x, needs_weight, needs_bias, _, _ = ctx.needs_input_grad
        grad_x = grad_weight = grad_bias = None
        if needs_x:
            grad_x = torch.ops.aten.convolution_backward(
                grad, x, weight, None, [1, 1], ctx.padding, [1, 1], False, [0, 0], ctx.groups,
                [True, False, False],
            )[0]  # fmt: skip
        if needs_weight or needs_bias:
            kernel = weight.shape[2], weight.shape[3]
            grad_weight, grad_bias = conv_gradients(x, grad, kernel, ctx.padding, ctx.groups)
        return grad_x, grad_weight, grad_bias if needs_bias else None, None, None
