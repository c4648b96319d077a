"""The response norm on a GPU: two Triton kernels, one element of the activations per lane.

Every lane loads its window again, which the first-level cache serves, so that the GPU's memory is
read and written once: the time is that of copying the tensors.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# Triton compiles functions whose parameters have no types.
import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 512
"""Elements per program."""


def forward(x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int) -> Tensor:
    """`response_norm` of x [N, C, H, W] in channels-last memory."""
    y = torch.empty_like(x)
    norm = x.shape[1] // groups, alpha, beta, k, size // 2, (size - 1) // 2
    with torch.cuda.device_of(x):
        _forward[grid_of(x)](x, y, x.numel(), *norm, is_large(x), BLOCK)
    return y


def backward(
    x: Tensor,
    grad_output: Tensor,
    size: int,
    alpha: float,
    beta: float,
    k: float,
    groups: int,
    *,
    has_relu: bool = False,
) -> Tensor:
    """The gradient of `response_norm` w.r.t. x, for x and grad_output [N, C, H, W], channels last.

    With `has_relu` it is the gradient of the norm of max(x, 0).
    """
    grad_input = torch.empty_like(x)
    norm = x.shape[1] // groups, alpha, beta, k, size // 2, (size - 1) // 2
    arguments = x, grad_output, grad_input, x.numel(), *norm, has_relu, is_large(x), BLOCK
    with torch.cuda.device_of(x):
        _backward[grid_of(x)](*arguments)
    return grad_input


def grid_of(x: Tensor) -> tuple[int]:
    """The number of Triton programs for all elements of `x`."""
    return (triton.cdiv(x.numel(), BLOCK),)


def is_large(x: Tensor) -> bool:
    """Whether indices into `x` need 64 bits, whose divisions take several times as long."""
    return x.numel() >= 2**31


@triton.jit
def indices(is_large: tl.constexpr, block: tl.constexpr):
    """The indices of this program's elements."""
    program = tl.program_id(0)
    if is_large:
        program = program.to(tl.int64)
    return program * block + tl.arange(0, block)


@triton.jit
def load(
    x, index, channel, offset, channels: tl.constexpr, is_inside, has_relu: tl.constexpr = False
):
    """The values `offset` channels further, in float32; 0 outside the group of channels."""
    c = channel + offset
    mask = is_inside & (c >= 0) & (c < channels)
    value = tl.load(x + index + offset, mask=mask, other=0.0).to(tl.float32)
    return tl.where(value <= 0, 0.0, value) if has_relu else value  # NaN stays NaN


@triton.jit
def scale_of(
    x,
    index,
    channel,
    offset: tl.constexpr,
    channels: tl.constexpr,
    alpha,
    k,
    before: tl.constexpr,
    after: tl.constexpr,
    is_inside,
    has_relu: tl.constexpr = False,
):
    """The norm's scale, k + alpha * sum of squares, of the channel `offset` further."""
    total = tl.zeros(index.shape, tl.float32)
    for d in tl.static_range(-before, after + 1):
        a = load(x, index, channel, offset + d, channels, is_inside, has_relu)
        total += a * a
    return k + alpha * total


@triton.jit
def negative_power(scale, beta):
    """The power scale ** -beta, for positive `scale`."""
    return tl.exp2(-beta * tl.log2(scale))


@triton.jit
def _forward(
    x,
    y,
    numel,
    channels: tl.constexpr,
    alpha,
    beta,
    k,
    before: tl.constexpr,
    after: tl.constexpr,
    is_large: tl.constexpr,
    block: tl.constexpr,
):
    index = indices(is_large, block)
    is_inside = index < numel
    channel = (index % channels).to(tl.int32)
    a = load(x, index, channel, 0, channels, is_inside)
    scale = scale_of(x, index, channel, 0, channels, alpha, k, before, after, is_inside)
    tl.store(y + index, a * negative_power(scale, beta), mask=is_inside)


@triton.jit
def _backward(
    x,
    grad_output,
    grad_input,
    numel,
    channels: tl.constexpr,
    alpha,
    beta,
    k,
    before: tl.constexpr,
    after: tl.constexpr,
    has_relu: tl.constexpr,
    is_large: tl.constexpr,
    block: tl.constexpr,
):
    index = indices(is_large, block)
    is_inside = index < numel
    channel = (index % channels).to(tl.int32)
    terms = tl.zeros(index.shape, tl.float32)
    for d in tl.static_range(-after, before + 1):  # the channels whose window has this one
        a = load(x, index, channel, d, channels, is_inside, has_relu)
        g = load(grad_output, index, channel, d, channels, is_inside)
        scale = scale_of(
            x, index, channel, d, channels, alpha, k, before, after, is_inside, has_relu
        )
        is_term = (channel + d >= 0) & (channel + d < channels)  # else 0 * infinity where k is 0
        terms += tl.where(is_term, g * a * negative_power(scale, beta + 1), 0.0)
    a = load(x, index, channel, 0, channels, is_inside, has_relu)
    g = load(grad_output, index, channel, 0, channels, is_inside)
    scale = scale_of(x, index, channel, 0, channels, alpha, k, before, after, is_inside, has_relu)
    result = g * negative_power(scale, beta) - 2 * alpha * beta * a * terms
    if has_relu:
        result = tl.where(a <= 0, 0.0, result)
    tl.store(grad_input + index, result, mask=is_inside)
