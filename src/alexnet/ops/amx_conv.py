"""The first convolution's weight gradient on a CPU with AMX, by blocks of pixels.

oneDNN multiplies bf16 by tiles of 32 channels, and conv1 has 3. Its forward pass has a kernel of
its own; its weight gradient has none, and takes four times as long as on blocks of 4 x 4 pixels,
which are 48 channels (docs/performance.md). Without tiles both take the same time.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from alexnet.ops.pixel_blocks import (
    image_blocks,
    kernel_blocks,
    kernels_of_blocks,
    turns_blocks_into_channels,
)
from alexnet.ops.tracing import compute_type


def should_use_blocks(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether training is faster by `amx_conv2d` in this layer, for images [N, C, H, W]."""
    if torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return False
    is_trained = torch.is_grad_enabled() and layer.weight.requires_grad and not x.requires_grad
    is_strided = turns_blocks_into_channels(layer.in_channels, layer.kernel_size, layer.stride)
    is_plain = layer.dilation == (1, 1) and layer.groups == 1
    if not (is_trained and is_strided and is_plain and x.device.type == "cpu"):
        return False
    return compute_type(x) == torch.bfloat16 and has_tiles()


def has_tiles() -> bool:
    """Whether torch multiplies bf16 by tiles (AMX)."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())


def amx_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
) -> Tensor:
    """`torch.nn.functional.conv2d` of images, which get no gradient.

    Args:
        x: [N, C, H, W], of the type in which it is computed under autocast.
        weight: kernels [K, C, h, w].
        bias: [K], or None.
        stride: of the kernels, the same in both directions.
        padding: rows and columns of zeros on each side.
    """
    dtype = compute_type(x)
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = _BlockGradient.apply(  # type: ignore[no-untyped-call]
            x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype), stride, padding
        )
    return y


class _BlockGradient(torch.autograd.Function):
    """A convolution whose weight gradient is that of blocks of pixels."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        side, kernel = ctx.stride[0], weight.shape[2:]
        blocks = image_blocks(x, kernel, side, ctx.padding)
        _, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
            grad_outputs[0], blocks, kernel_blocks(weight, side), [len(weight)],
            [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, *ctx.needs_input_grad[1:3]],
        )  # fmt: skip
        if grad_weight is not None:
            grad_weight = kernels_of_blocks(grad_weight, kernel, side)
        return None, grad_weight, grad_bias, None, None
