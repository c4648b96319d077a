"""Strided convolutions of few channels as equal ones without stride, on blocks of pixels.

conv1 of AlexNet has 3 channels and strides of 4. Blocks of 4 x 4 pixels become 48 channels, and its
11 x 11 kernels, widened by a row and a column of zeros, become 3 x 3 ones. That is faster where
tiles of 32 channels are multiplied: on a GPU, and in training on a CPU with AMX, where oneDNN has
no kernel for the weight gradient of few channels (docs/performance.md).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.ops.library import load_kernels
from alexnet.ops.tile_conv import can_use_tiles, tile_conv2d
from alexnet.ops.tile_gradients import has_tiles
from alexnet.ops.tracing import compute_type, is_bf16_step

FEW_CHANNELS = 4
"""Maximum number of input channels for which blocks of pixels become channels."""


def turns_blocks_into_channels(
    channels: int, kernel: tuple[int, ...], stride: tuple[int, ...]
) -> bool:
    """Whether a convolution has few channels and a stride that make blocks of pixels worthwhile."""
    is_square = stride[0] == stride[1] > 1
    return is_square and channels <= FEW_CHANNELS and min(kernel) > stride[0]


def should_use_blocks(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether `block_conv2d` is faster for training this layer on a CPU, for images `x`."""
    is_strided = turns_blocks_into_channels(layer.in_channels, layer.kernel_size, layer.stride)
    is_plain = layer.dilation == (1, 1) and layer.groups == 1 and not x.requires_grad
    return is_strided and is_plain and is_bf16_step(layer.weight, x) and has_tiles()


def block_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
) -> Tensor:
    """`torch.nn.functional.conv2d` on blocks of pixels; in bf16 on a CPU with AMX by `tile_conv2d`.

    Args:
        x: [N, C, H, W]; on a CPU it gets no gradient.
        weight: kernels [K, C, h, w].
        bias: [K], or None.
        stride: of the kernels, the same in both directions.
        padding: rows and columns of zeros on each side.
    """
    blocks = image_blocks(x.to(compute_type(x)), weight.shape[2:], stride[0], padding)
    kernels = kernel_blocks(weight, stride[0])
    if blocks.dtype == torch.bfloat16 and can_use_tiles(blocks, kernels, (0, 0)):
        return tile_conv2d(blocks, kernels, bias, (0, 0))
    return F.conv2d(blocks, kernels, bias)


def image_blocks(x: Tensor, kernel: tuple[int, ...], side: int, padding: tuple[int, int]) -> Tensor:
    """Images [N, C, H, W] as the blocks that the kernels read, [N, C * side^2, H', W']."""
    rows, columns = (_padding(x.shape[2 + i], kernel[i], side, padding[i]) for i in (0, 1))
    kernels = load_kernels() if x.device.type == "cpu" and x.element_size() == 2 else None
    if kernels is None:
        return _blocks_to_channels(F.pad(x, (*columns, *rows)), side)
    n, channels, height, width = x.shape
    shape = (height + sum(rows)) // side, (width + sum(columns)) // side
    blocks = x.new_empty(n, *shape, side * side * channels)
    sizes = n, height, width, channels, side, rows[0], columns[0], *shape
    pixels = x.contiguous(memory_format=torch.channels_last)
    kernels.call("pixel_blocks", pixels, blocks, sizes)
    return blocks.permute(0, 3, 1, 2)


def kernel_blocks(weight: Tensor, side: int) -> Tensor:
    """Kernels [K, C, h, w] as blocks [K, C * side^2, h / side, w / side], with zeros at the end."""
    height, width = weight.shape[2:]
    return _blocks_to_channels(F.pad(weight, (0, -width % side, 0, -height % side)), side)


def _padding(size: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """The zeros before and after a side, so that it has as many blocks of `stride` as kernels read.

    They are negative where no kernel reads the last pixels.
    """
    outputs = (size + 2 * padding - kernel) // stride + 1
    blocks = outputs - 1 + math.ceil(kernel / stride)
    return padding, blocks * stride - size - padding


def _blocks_to_channels(x: Tensor, side: int) -> Tensor:
    """[N, C, H, W] to [N, C * side^2, H / side, W / side], channels last."""
    n, channels, height, width = x.shape
    blocks = x.permute(0, 2, 3, 1).reshape(n, height // side, side, width // side, side, channels)
    x = blocks.permute(0, 1, 3, 2, 4, 5).reshape(n, height // side, width // side, -1)
    return x.permute(0, 3, 1, 2)
