"""Convolutions on a GPU, rewritten as equal ones for which cuDNN has fast kernels.

Its kernels for channels-last bf16 want many input channels and no groups. Two rewritings of the
paper's net add zeros and lose no time by them (forward and backward, batch size 512, one H100):

* conv1 has 3 channels and strides of 4: blocks of 4 x 4 pixels become 48 channels, and its 11 x 11
  kernels, widened by a row and a column of zeros, become 3 x 3 ones without stride: 1.87 ms instead
  of 6.53.
* Layers of 2 groups become one with zeros between the groups: conv2 takes 2.82 ms instead of 3.77,
  conv4 1.36 instead of 2.71, conv5 1.27 instead of 1.81. In float32 the doubled products would cost
  more than they save.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.ops.tracing import is_exporting

HALF_TYPES = (torch.bfloat16, torch.float16)
MAX_GROUPS = 2
"""Zeros between more groups would cost more than the faster kernel saves."""
FEW_CHANNELS = 4
"""Input channels up to which blocks of pixels become channels."""


def should_rewrite(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether a layer is faster by `gpu_conv2d`, for activations [N, C, H, W]."""
    if x.device.type != "cuda" or layer.dilation != (1, 1) or is_exporting():
        return False
    is_rewritten = 1 < layer.groups <= MAX_GROUPS or _turns_blocks_into_channels(
        layer.in_channels, layer.kernel_size, layer.stride
    )
    return is_rewritten and _compute_type(x) in HALF_TYPES


def gpu_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> Tensor:
    """`torch.nn.functional.conv2d` by one or both rewritings; on any device.

    Args:
        x: activations [N, C, H, W].
        weight: kernels [K, C / groups, h, w].
        bias: [K], or None.
        stride: of the kernels.
        padding: rows and columns of zeros on each side.
        groups: of input channels, each of which has its own kernels.
    """
    weight = without_groups(weight, groups)
    side = stride[0]
    if not _turns_blocks_into_channels(x.shape[1], tuple(weight.shape[2:]), stride):
        return F.conv2d(x, weight, bias, stride, padding)
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    kernel = weight.shape[2:]
    rows, columns = (_padding(x.shape[2 + i], kernel[i], side, padding[i]) for i in (0, 1))
    weight = F.pad(weight, (0, -kernel[1] % side, 0, -kernel[0] % side))
    x = F.pad(x, (*columns, *rows))
    return F.conv2d(_blocks_to_channels(x, side), _blocks_to_channels(weight, side), bias)


def without_groups(weight: Tensor, groups: int) -> Tensor:
    """Kernels of groups [K, C / groups, h, w] with zeros for the other groups: [K, C, h, w]."""
    if groups == 1:
        return weight
    channels = weight.shape[1]
    return torch.cat(
        [
            F.pad(part, (0, 0, 0, 0, i * channels, (groups - 1 - i) * channels))
            for i, part in enumerate(weight.chunk(groups))
        ]
    )


def _turns_blocks_into_channels(
    channels: int, kernel: tuple[int, ...], stride: tuple[int, ...]
) -> bool:
    is_square = stride[0] == stride[1] > 1
    return is_square and channels <= FEW_CHANNELS and min(kernel) > stride[0]


def _padding(size: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Zeros before and after a side: as many blocks of `stride` as the kernels read.

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


def _compute_type(x: Tensor) -> torch.dtype:
    is_autocast = torch.is_autocast_enabled(x.device.type)
    return torch.get_autocast_dtype(x.device.type) if is_autocast else x.dtype
