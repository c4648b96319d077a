"""Convolution, pooling and their transposes, on which encoding and decoding are built.

The auto-encoder and the RBM both decode with `unpool` and `conv_transpose2d`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.models.layers import Conv, Pool

Size2d = tuple[int, int]
"""Height and width."""


class Code(NamedTuple):
    """The output of a stage for a batch, with what decoding needs besides."""

    activations: Tensor
    """[N, K, h, w], the input of the next stage."""
    pool_indices: Tensor
    """How to undo the pooling: positions of the maxima ("switches"), or each unit's fraction of its
    block's probability; empty where decoding needs neither."""
    hidden_size: Size2d
    """Height and width of the hidden layer, before pooling."""
    input_size: Size2d
    """Height and width of the stage's input, after `crop_to_coverage`."""


def spatial_size(x: Tensor) -> Size2d:
    """Height and width of x [N, C, H, W]."""
    return x.shape[2], x.shape[3]


def crop_to_coverage(x: Tensor, layer: Conv) -> Tensor:
    """The part of x [N, C, H, W] that at least one window of the convolution covers.

    Rows and columns at the bottom and right that no window reaches are cut off. Example: an input
    of 128 with kernel 11 and stride 4 gives 30 windows, which cover 29 * 4 + 11 = 127.
    """
    _, *sizes = layer.output((layer.channels, *x.shape[2:]))
    height, width = ((n - 1) * layer.stride + layer.kernel - layer.padding for n in sizes)
    return x[:, :, :height, :width]


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, layer: Conv) -> Tensor:
    """Convolution with the stride, padding and groups of `layer` and the given weights."""
    end = layer.extra_padding
    padded = F.pad(x, (0, end, 0, end)) if end else x
    return F.conv2d(padded, weight, bias, layer.stride, layer.padding, groups=layer.groups)


def conv_transpose2d(y: Tensor, weight: Tensor, layer: Conv, input_size: Size2d) -> Tensor:
    """The transpose (adjoint) of `conv2d` without bias.

    For all x and y, the sum of conv2d(x) * y equals the sum of x * conv_transpose2d(y).

    Args:
        y: [N, K, h, w], a hidden layer.
        weight: [K, C / groups, k, k].
        layer: stride, padding and groups.
        input_size: of the result, after `crop_to_coverage`.
    """
    x = F.conv_transpose2d(y, weight, stride=layer.stride, groups=layer.groups)
    begin, (height, width) = layer.padding, input_size
    return x[:, :, begin : begin + height, begin : begin + width]


def pool_with_indices(x: Tensor, layer: Pool) -> tuple[Tensor, Tensor]:
    """Pooled x [N, C, H, W], and the flat position of each maximum in its [H, W] plane.

    Average pooling has no indices: they are empty.
    """
    size, stride, ceil = layer.size, layer.stride, layer.ceil
    if layer.reduce == "average":
        return F.avg_pool2d(x, size, stride, ceil_mode=ceil), x.new_empty(0)
    return F.max_pool2d(x, size, stride, ceil_mode=ceil, return_indices=True)


def unpool(x: Tensor, indices: Tensor, layer: Pool, size: Size2d) -> Tensor:
    """Undo the pooling of x [N, C, h, w]: values at the positions they came from, [N, C, *size].

    A maximum returns to the position it came from, and the rest is zero; an average is copied to
    its whole window. A position in several windows gets the mean of their values.

    Source: Masci et al. 2011, section 2.3: only the maxima are used for the reconstruction.
    """
    if layer.reduce == "average":
        return _unpool_average(x, layer, size)
    flat, count = indices.flatten(2), x.new_zeros(*x.shape[:2], size[0] * size[1])
    total = count.scatter_add(2, flat, x.flatten(2))
    count.scatter_add_(2, flat, torch.ones_like(x).flatten(2))
    return (total / count.clamp(min=1)).view(*x.shape[:2], *size)


def _unpool_average(x: Tensor, layer: Pool, size: Size2d) -> Tensor:
    """Each value copied to its whole window: the mean where windows overlap, zero outside them."""
    channels, (height, width) = x.shape[1], size
    window = x.new_ones(channels, 1, layer.size, layer.size)
    total, count = (
        F.conv_transpose2d(values, window, stride=layer.stride, groups=channels)
        for values in (x, torch.ones_like(x))
    )
    missing = (0, max(0, width - total.shape[3]), 0, max(0, height - total.shape[2]))
    return F.pad(total / count.clamp(min=1), missing)[:, :, :height, :width]
