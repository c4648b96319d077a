"""Convolutions of large kernels as products of spectra, for training on a processor.

An 11 x 11 kernel on maps of 27 x 27 takes 121 products for every output and input map; their
spectra take 4 for every frequency, of which there are 27 x 14. The transforms are matrix products
too, for maps as small as these. All of it is float32, so it is nearer to the direct sum than bf16.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LEAST_KERNEL = 9
"""Side of a kernel from which it was measured to pay, at 11 (docs/performance.md)."""
LEAST_BATCH = 16
"""Images that make up for the spectrum of the weights, which every step needs anew."""


def should_use_fft(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether training gains by `fft_conv2d` in this layer, on these maps [N, C, H, W]."""
    if torch.compiler.is_compiling() or torch.compiler.is_exporting():  # the batch has no size yet
        return False
    is_plain = layer.stride == layer.dilation == (1, 1) and layer.groups == 1
    is_large = min(layer.kernel_size) >= LEAST_KERNEL and len(x) >= LEAST_BATCH
    return is_large and is_plain and x.device.type == "cpu" and torch.is_grad_enabled()


def fft_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """A convolution of stride 1, as `torch.nn.functional.conv2d` has it.

    Computed in float32 (float64 stays), whatever autocast says, and given in the type that autocast
    would give, channels last.

    Args:
        x: maps [N, C, H, W].
        weight: kernels [K, C, h, w].
        bias: [K], or None.
        padding: rows and columns of zeros on each side.

    Source: Mathieu, Henaff and LeCun 2013, "Fast training of convolutional networks through FFTs".
    """
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = _FftConv.apply(x, weight, padding)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


class _FftConv(torch.autograd.Function):
    """Products of spectra; those of the maps and of the kernels are kept for the way back.

    In a net a convolution is a correlation, so one factor of each product is conjugate.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
        ctx.sides, ctx.kernel, ctx.padding = padded.shape[2:], weight.shape[2:], padding
        maps, kernels = _fft(padded, ctx.sides), _fft(weight, ctx.sides)
        ctx.save_for_backward(maps, kernels)
        ctx.types = x.dtype, weight.dtype
        outputs = [side - k + 1 for side, k in zip(ctx.sides, ctx.kernel, strict=True)]
        return _maps(_times(maps, _conjugate(kernels).mT), ctx.sides, outputs, x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        maps, kernels = ctx.saved_tensors
        above = _fft(gradients[0], ctx.sides)
        dx = dw = None
        if ctx.needs_input_grad[0]:
            (top, left), (height, width) = ctx.padding, ctx.sides
            whole = _maps(_times(above, kernels), ctx.sides, ctx.sides, ctx.types[0])
            dx = whole[..., top : height - top, left : width - left]
        if ctx.needs_input_grad[1]:
            products = _times(_conjugate(above).mT, maps)
            dw = _maps(products, ctx.sides, ctx.kernel, ctx.types[1])
        return dx, dw, None


def _fft(x: Tensor, sides: list[int]) -> Tensor:
    """Maps [A, B, h, w] to their spectra at so many sides: [2, frequencies, A, B].

    Real parts first, then imaginary ones; frequencies are those of a real transform.
    """
    height, width, a, b = *x.shape[2:], *x.shape[:2]
    across, down = _across(sides[1], x), _down(sides[0], x)
    lines = x.permute(2, 3, 0, 1).to(across.dtype).reshape(height, width, a * b)
    lines = across[:, :width] @ lines
    spectrum = down[:, : 2 * height] @ lines.reshape(2 * height, -1)
    return spectrum.reshape(2, -1, a, b)


def _maps(spectrum: Tensor, sides: list[int], wanted: list[int], dtype: torch.dtype) -> Tensor:
    """The way back, to the first `wanted` rows and columns: [A, B, h, w], channels last."""
    (height, width), (a, b) = wanted, spectrum.shape[2:]
    up, along = _down(sides[0], spectrum).T, _across(sides[1], spectrum).T
    # A real transform holds half of the frequencies: all but the first (and the middle one of an
    # even side) stand for two.
    twice = torch.full((sides[1] // 2 + 1,), 2.0, dtype=spectrum.dtype)
    twice[0] = 1
    if sides[1] % 2 == 0:
        twice[-1] = 1
    along = along * twice.repeat(2) / math.prod(sides)
    lines = up[: 2 * height] @ spectrum.reshape(2 * sides[0], -1)
    maps = along[:width] @ lines.reshape(height, along.shape[1], a * b)
    result = torch.empty((a, b, height, width), dtype=dtype, memory_format=torch.channels_last)
    return result.copy_(maps.reshape(height, width, a, b).permute(2, 3, 0, 1))


def _times(one: Tensor, other: Tensor) -> Tensor:
    """Complex matrix products at every frequency: [2, Q, A, B] times [2, Q, B, C]."""
    result = one.new_empty(*one.shape[:3], other.shape[3])
    torch.bmm(one[0], other[0], out=result[0])
    result[0].baddbmm_(one[1], other[1], alpha=-1)
    torch.bmm(one[0], other[1], out=result[1])
    result[1].baddbmm_(one[1], other[0])
    return result


def _conjugate(spectrum: Tensor) -> Tensor:
    return torch.stack((spectrum[0], -spectrum[1]))


@functools.cache
def _dft_angles(side: int, frequencies: int) -> Tensor:
    """The angle of every frequency at every place: float64 [frequencies, side]."""
    steps = torch.arange(frequencies)[:, None] * torch.arange(side) % side
    return steps.double() * (2 * math.pi / side)


def _across(side: int, like: Tensor) -> Tensor:
    """A real line to its spectrum: [(2, side // 2 + 1), side]."""
    angles = _dft_angles(side, side // 2 + 1)
    return torch.cat((angles.cos(), -angles.sin())).to(_compute_dtype(like.dtype))


def _down(side: int, like: Tensor) -> Tensor:
    """Complex lines to their spectra: [(2, side), (side, 2)], parts outside, then inside."""
    angles = _dft_angles(side, side)
    real = torch.stack((angles.cos(), angles.sin()), -1).flatten(1)
    imaginary = torch.stack((-angles.sin(), angles.cos()), -1).flatten(1)
    return torch.cat((real, imaginary)).to(_compute_dtype(like.dtype))


def _compute_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32
