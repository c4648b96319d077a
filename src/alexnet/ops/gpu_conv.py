"""Convolutions on a GPU, rewritten as equal ones for which cuDNN has fast kernels.

Its kernels for channels-last bf16 want many input channels and no groups. Two rewritings of the
paper's net add zeros and lose no time by them (forward and backward, batch size 512, one H100):

* Strides of few channels become blocks of pixels (`pixel_blocks.py`): conv1 takes 1.87 ms instead
  of 6.53.
* Layers of 2 groups become one with zeros between the groups: conv2 takes 2.82 ms instead of 3.77,
  conv4 1.36 instead of 2.71, conv5 1.27 instead of 1.81. In float32 the doubled products would cost
  more than they save.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.ops.pixel_blocks import block_conv2d, turns_blocks_into_channels
from alexnet.ops.tracing import compute_type, is_exporting

HALF_TYPES = (torch.bfloat16, torch.float16)
MAX_GROUPS = 2
"""Maximum number of groups of a convolution that is computed as a dense one; the zeros between more
groups would cost more than the faster kernel saves."""


def should_rewrite(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether a layer is faster by `gpu_conv2d`, for activations [N, C, H, W]."""
    if x.device.type != "cuda" or layer.dilation != (1, 1) or is_exporting():
        return False
    is_rewritten = 1 < layer.groups <= MAX_GROUPS or turns_blocks_into_channels(
        layer.in_channels, layer.kernel_size, layer.stride
    )
    return is_rewritten and compute_type(x) in HALF_TYPES


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
    if turns_blocks_into_channels(x.shape[1], tuple(weight.shape[2:]), stride):
        return block_conv2d(x, weight, bias, stride, padding)
    return F.conv2d(x, weight, bias, stride, padding)


def without_groups(weight: Tensor, groups: int) -> Tensor:
    """Grouped kernels [K, C / groups, h, w] as dense ones [K, C, h, w], zero for other groups."""
    if groups == 1:
        return weight
    channels = weight.shape[1]
    return torch.cat(
        [
            F.pad(part, (0, 0, 0, 0, i * channels, (groups - 1 - i) * channels))
            for i, part in enumerate(weight.chunk(groups))
        ]
    )
