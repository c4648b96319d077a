"""The way down: from the maps of a conv layer back to those below it.

An auto-encoder decodes with it, a restricted Boltzmann machine reconstructs with it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.models.layers import Conv, Pool

Sides = tuple[int, int]
"""Height and width of a map."""


class Code(NamedTuple):
    """What a layer makes of its input, with what is needed to go back."""

    maps: Tensor
    """[N, K, h, w], what the next layer sees."""
    guide: Tensor
    """Where pooled values came from: places of maxima, or shares of a block; else empty."""
    inner: Sides
    """Of the hidden maps, before pooling."""
    outer: Sides
    """Of the layer's input."""


def hidden_and_input(maps: Tensor) -> Sides:
    """Height and width of maps [N, C, H, W]."""
    return maps.shape[2], maps.shape[3]


def seen(maps: Tensor, conv: Conv) -> Tensor:
    """The part of maps [N, C, H, W] that some window of the convolution sees.

    Rows and columns at the end that no window reaches are cut off: of 128 pixels, 30 windows of 11
    with stride 4 see 29 * 4 + 11 = 127.
    """
    _, *counts = conv.output((conv.channels, *maps.shape[2:]))
    rows, columns = ((n - 1) * conv.stride + conv.kernel - conv.padding for n in counts)
    return maps[:, :, :rows, :columns]


def convolved(maps: Tensor, weight: Tensor, bias: Tensor | None, conv: Conv) -> Tensor:
    """The convolution of a row of the table (its stride, padding, groups) with other weights."""
    end = conv.extra_padding
    padded = F.pad(maps, (0, end, 0, end)) if end else maps
    return F.conv2d(padded, weight, bias, conv.stride, conv.padding, groups=conv.groups)


def transposed(maps: Tensor, weight: Tensor, conv: Conv, sides: Sides) -> Tensor:
    """The adjoint of `convolved` without bias.

    The sum of convolved(x) y over everything is that of x transposed(y). Every value lays its
    filter down over its window; what falls on the padding is cut off.

    Args:
        maps: [N, K, h, w], as `convolved` gives them.
        weight: [K, C / groups, k, k].
        conv: the row of the table.
        sides: of the maps below, as far as they are `seen`.
    """
    laid = F.conv_transpose2d(maps, weight, stride=conv.stride, groups=conv.groups)
    begin, (rows, columns) = conv.padding, sides
    return laid[:, :, begin : begin + rows, begin : begin + columns]


def pooled(maps: Tensor, pool: Pool) -> tuple[Tensor, Tensor]:
    """The table's pooling of [N, C, H, W], and the places of the maxima in each flattened map.

    The places of an average are empty.
    """
    if pool.reduce == "average":
        return F.avg_pool2d(maps, pool.size, pool.stride, ceil_mode=pool.ceil), maps.new_empty(0)
    return F.max_pool2d(maps, pool.size, pool.stride, ceil_mode=pool.ceil, return_indices=True)


def unpooled(maps: Tensor, places: Tensor, pool: Pool, sides: Sides) -> Tensor:
    """Pooled values brought back to maps of `sides`.

    A maximum returns to the place it was taken from, all else is zero; an average is spread over
    its window. Where several windows meet, a place gets the mean of what they bring.

    Source: Masci et al. 2011, section 2.3: only the maxima take part in the reconstruction.
    """
    if pool.reduce == "average":
        return _spread(maps, pool, sides)
    flat, count = places.flatten(2), maps.new_zeros(*maps.shape[:2], sides[0] * sides[1])
    total = count.scatter_add(2, flat, maps.flatten(2))
    count.scatter_add_(2, flat, torch.ones_like(maps).flatten(2))
    return (total / count.clamp(min=1)).view(*maps.shape[:2], *sides)


def _spread(maps: Tensor, pool: Pool, sides: Sides) -> Tensor:
    """Each value over its whole window, the mean where windows overlap, zero where none is."""
    channels, (rows, columns) = maps.shape[1], sides
    window = maps.new_ones(channels, 1, pool.size, pool.size)
    total, count = (
        F.conv_transpose2d(x, window, stride=pool.stride, groups=channels)
        for x in (maps, torch.ones_like(maps))
    )
    missing = (0, max(0, columns - total.shape[3]), 0, max(0, rows - total.shape[2]))
    return F.pad(total / count.clamp(min=1), missing)[:, :, :rows, :columns]
