"""ReLU, response norm and max pooling on a GPU, forward and backward, by Triton kernels.

Forward is one kernel, whose lanes each normalize the window of one pooled value. Backward, a kernel
brings each gradient to where the maximum was, and that of the norm does the rest. Nothing is added
atomically, so a gradient has the same bits each time.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# Triton compiles functions whose parameters have no types.
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from alexnet.ops import norms_triton
from alexnet.ops.norms_triton import (
    BLOCK,
    grid_of,
    indices,
    is_large,
    load,
    negative_power,
    scale_of,
)


class Sizes(NamedTuple):
    """The sizes of the activations, of the pooled ones (rows, columns), and of the window."""

    channels: int
    height: int
    width: int
    rows: int
    columns: int
    window: int
    stride: int


def sizes_of(x: Tensor, window: int, stride: int) -> Sizes:
    """The sizes for x [N, C, H, W] and max pooling with this window and stride, in pixels."""
    _, channels, height, width = x.shape
    rows, columns = ((side - window) // stride + 1 for side in (height, width))
    return Sizes(channels, height, width, rows, columns, window, stride)


def forward(
    x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int, window: int, stride: int
) -> tuple[Tensor, Tensor]:
    """max_pool2d(response_norm(relu(x))) of x [N, C, H, W] in channels-last memory.

    Returns:
        The pooled values [N, C, H', W'] in channels-last memory, and uint8 [N, C, H', W']: where in
        its window each was. `size` is 0 where there is no norm.
    """
    sizes = sizes_of(x, window, stride)
    y = x.new_empty(len(x), sizes.rows, sizes.columns, sizes.channels).permute(0, 3, 1, 2)
    places = torch.empty_like(y, dtype=torch.uint8)
    before, after, has_norm = size // 2, max(size - 1, 0) // 2, size > 0
    norm = sizes.channels // groups, alpha, beta, k, before, after, has_norm
    with torch.cuda.device_of(x):
        _forward[grid_of(y)](x, y, places, y.numel(), *sizes, *norm, is_large(x), BLOCK)
    return y, places


def backward(
    x: Tensor,
    grad_output: Tensor,
    places: Tensor,
    size: int,
    alpha: float,
    beta: float,
    k: float,
    groups: int,
    window: int,
    stride: int,
) -> Tensor:
    """The gradient of `forward` w.r.t. x; all tensors are in channels-last memory."""
    unpooled, sizes = torch.empty_like(x), sizes_of(x, window, stride)
    arguments = x, grad_output, places, unpooled, x.numel(), *sizes, is_large(x), BLOCK
    with torch.cuda.device_of(x):
        _unpool[grid_of(x)](*arguments)
    if not size:
        return unpooled
    return norms_triton.backward(x, unpooled, size, alpha, beta, k, groups, has_relu=True)


@triton.jit
def _forward(
    x,
    y,
    places,
    numel,
    all_channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    window: tl.constexpr,
    stride: tl.constexpr,
    channels: tl.constexpr,
    alpha,
    beta,
    k,
    before: tl.constexpr,
    after: tl.constexpr,
    has_norm: tl.constexpr,
    is_large: tl.constexpr,
    block: tl.constexpr,
):
    index = indices(is_large, block)
    is_inside = index < numel
    pixel, channel = index // all_channels, index % channels
    line, column = pixel // columns, pixel % columns
    top = (line // rows) * height + (line % rows) * stride
    corner = (top * width + column * stride) * all_channels + index % all_channels
    best = tl.full(index.shape, -float("inf"), tl.float32)
    place = tl.zeros(index.shape, tl.int32)
    for i in tl.static_range(window):
        for j in tl.static_range(window):
            at = corner + (i * width + j) * all_channels
            value = load(x, at, channel, 0, channels, is_inside, True)
            if has_norm:
                scale = scale_of(
                    x, at, channel, 0, channels, alpha, k, before, after, is_inside, True
                )
                value = value * negative_power(scale, beta)
            # The values are compared as the norm would store them.
            value = value.to(y.dtype.element_ty).to(tl.float32)
            is_better = (value > best) | (value != value)
            best = tl.where(is_better, value, best)
            place = tl.where(is_better, i * window + j, place)
    tl.store(y + index, best, mask=is_inside)
    tl.store(places + index, place.to(tl.uint8), mask=is_inside)


@triton.jit
def _unpool(
    x,
    grad_output,
    places,
    unpooled,
    numel,
    all_channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    window: tl.constexpr,
    stride: tl.constexpr,
    is_large: tl.constexpr,
    block: tl.constexpr,
):
    """The sum of the gradients of the windows whose maximum a value is; 0 where the ReLU is 0."""
    index = indices(is_large, block)
    is_inside = index < numel
    pixel, channel = index // all_channels, index % all_channels
    line, w = pixel // width, pixel % width
    image, h = line // height, line % height
    total = tl.zeros(index.shape, tl.float32)
    reach: tl.constexpr = (window + stride - 1) // stride
    for d in tl.static_range(reach):
        for e in tl.static_range(reach):
            row, column = h // stride - d, w // stride - e
            i, j = h - row * stride, w - column * stride
            has_row = (row >= 0) & (row < rows) & (i < window)
            mask = is_inside & has_row & (column >= 0) & (column < columns) & (j < window)
            at = ((image * rows + row) * columns + column) * all_channels + channel
            place = tl.load(places + at, mask=mask, other=0).to(tl.int32)
            gradient = tl.load(grad_output + at, mask=mask, other=0.0).to(tl.float32)
            total += tl.where(mask & (place == i * window + j), gradient, 0.0)
    value = tl.load(x + index, mask=is_inside, other=0.0).to(tl.float32)
    tl.store(unpooled + index, tl.where(value <= 0, 0.0, total), mask=is_inside)
