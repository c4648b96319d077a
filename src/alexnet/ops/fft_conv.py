"""Convolutions with large kernels by FFT, for training on the CPU.

An 11 x 11 kernel takes 121 multiplications for every output, input channel and output channel. In
the frequency domain it is one complex product, 4 multiplications, at each of 27 x 14 frequencies
(maps of 27 x 27, real input). Forward and both backward passes of that layer took 173 ms at batch
64, where the direct sum in bf16 took 412 (docs/performance.md, "How each gain was won").

The Fourier transforms are matrix multiplications by the DFT matrix, not `torch.fft`, with which the
same passes took 338 ms: for activations of this size a fast transform is slower.

All of it is float32, so it is nearer to the exact sum than bf16.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.ops.second_derivatives import differentiable_gradients
from alexnet.ops.tracing import compute_type, is_traced

MIN_KERNEL = 9
"""Side of the smallest kernel for which the FFT is used; faster at 11 (docs/performance.md)."""
MIN_BATCH = 16
"""Smallest batch for which transforming the weights in every step costs less than it saves."""


def should_use_fft(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether training is faster by `fft_conv2d` in this layer, for activations [N, C, H, W]."""
    if is_traced():  # the batch has no size yet
        return False
    is_plain = layer.stride == layer.dilation == (1, 1) and layer.groups == 1
    is_large = min(layer.kernel_size) >= MIN_KERNEL and len(x) >= MIN_BATCH
    return is_large and is_plain and x.device.type == "cpu" and torch.is_grad_enabled()


def fft_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int] = (0, 0)
) -> Tensor:
    """`torch.nn.functional.conv2d` with stride 1, by FFT.

    Computed in float32 (float64 stays) also under autocast; the result has the dtype that autocast
    would give it, channels last.

    Args:
        x: activations [N, C, H, W].
        weight: kernels [K, C, h, w].
        bias: [K], or None.
        padding: rows and columns of zeros on each side.

    Source: Mathieu, Henaff and LeCun 2013, "Fast training of convolutional networks through FFTs".
    """
    x = x.to(compute_type(x))
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = _FftConv.apply(x, weight, padding)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


class _FftConv(torch.autograd.Function):
    """A convolution by FFT; the transforms of x and weight are saved for the backward pass.

    So are x and weight, for second derivatives.

    A network's convolution is a correlation, so one factor of each product is conjugate.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
        ctx.size, ctx.kernel, ctx.padding = padded.shape[2:], weight.shape[2:], padding
        x_hat, weight_hat = _fft(padded, ctx.size), _fft(weight, ctx.size)
        ctx.save_for_backward(x, weight, x_hat, weight_hat)
        ctx.dtypes = x.dtype, weight.dtype
        output_size = [side - k + 1 for side, k in zip(ctx.size, ctx.kernel, strict=True)]
        y_hat = _complex_bmm(x_hat, _conjugate(weight_hat).mT)
        return _inverse_fft(y_hat, ctx.size, output_size, x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        x, weight, x_hat, weight_hat = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = functools.partial(_direct_conv, padding=ctx.padding)
            return *differentiable_gradients(plain, [x, weight], grad_outputs[0]), None
        grad_hat = _fft(grad_outputs[0], ctx.size)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            (top, left), (height, width) = ctx.padding, ctx.size
            padded = _inverse_fft(
                _complex_bmm(grad_hat, weight_hat), ctx.size, ctx.size, ctx.dtypes[0]
            )
            grad_x = padded[..., top : height - top, left : width - left]
        if ctx.needs_input_grad[1]:
            grad_weight_hat = _complex_bmm(_conjugate(grad_hat).mT, x_hat)
            grad_weight = _inverse_fft(grad_weight_hat, ctx.size, ctx.kernel, ctx.dtypes[1])
        return grad_x, grad_weight, None


def _direct_conv(x: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
    """`fft_conv2d` in plain torch operations, without a bias."""
    dtype = _compute_dtype(x.dtype)
    return F.conv2d(x.to(dtype), weight.to(dtype), padding=padding).to(x.dtype)


def _fft(x: Tensor, size: list[int]) -> Tensor:
    """2D FFT of real x [A, B, h, w], padded with zeros to `size`: [2, frequencies, A, B].

    Real parts first, then imaginary ones; the frequencies are those of `torch.fft.rfft2`.
    """
    height, width, a, b = *x.shape[2:], *x.shape[:2]
    rfft, dft = _rfft_matrix(size[1], x), _dft_matrix(size[0], x)
    lines = x.permute(2, 3, 0, 1).to(rfft.dtype).reshape(height, width, a * b)
    lines = rfft[:, :width] @ lines
    x_hat = dft[:, : 2 * height] @ lines.reshape(2 * height, -1)
    return x_hat.reshape(2, -1, a, b)


def _inverse_fft(x_hat: Tensor, size: list[int], crop: list[int], dtype: torch.dtype) -> Tensor:
    """Inverse of `_fft`, cropped to its first rows and columns: [A, B, *crop], channels last."""
    (height, width), (a, b) = crop, x_hat.shape[2:]
    inverse_dft = _dft_matrix(size[0], x_hat).T
    inverse_rfft = _rfft_matrix(size[1], x_hat).T
    # A real transform has half of the frequencies: all but the first (and the middle one of an
    # even side) count twice.
    weights = x_hat.new_full((size[1] // 2 + 1,), 2.0)
    weights[0] = 1
    if size[1] % 2 == 0:
        weights[-1] = 1
    inverse_rfft = inverse_rfft * weights.repeat(2) / math.prod(size)
    lines = inverse_dft[: 2 * height] @ x_hat.reshape(2 * size[0], -1)
    x = inverse_rfft[:width] @ lines.reshape(height, inverse_rfft.shape[1], a * b)
    result = x.new_empty(a, height, width, b, dtype=dtype).permute(0, 3, 1, 2)
    return result.copy_(x.reshape(height, width, a, b).permute(2, 3, 0, 1))


def _complex_bmm(a: Tensor, b: Tensor) -> Tensor:
    """Complex matrix products at each of F frequencies: [2, F, I, J] times [2, F, J, K]."""
    result = a.new_empty(*a.shape[:3], b.shape[3])
    torch.bmm(a[0], b[0], out=result[0])
    result[0].baddbmm_(a[1], b[1], alpha=-1)
    torch.bmm(a[0], b[1], out=result[1])
    result[1].baddbmm_(a[1], b[0])
    return result


def _conjugate(x_hat: Tensor) -> Tensor:
    return torch.stack((x_hat[0], -x_hat[1]))


@functools.cache
def _dft_angles(side: int, frequencies: int) -> Tensor:
    """2 pi * frequency * position / side: float64 [frequencies, side], on the CPU."""
    lines, positions = (torch.arange(n, device="cpu") for n in (frequencies, side))
    steps = lines[:, None] * positions % side
    return steps.double() * (2 * math.pi / side)


def _rfft_matrix(side: int, x: Tensor) -> Tensor:
    """The DFT of a real line as a matrix [(2, side // 2 + 1), side]: real parts, then imaginary.

    It is where `x` is, in the type in which that is transformed.
    """
    angles = _dft_angles(side, side // 2 + 1)
    return torch.cat((angles.cos(), -angles.sin())).to(x.device, _compute_dtype(x.dtype))


def _dft_matrix(side: int, x: Tensor) -> Tensor:
    """The DFT of complex lines as a real matrix [(2, side), (side, 2)], for `x`.

    In its rows all real parts come first; in its columns real and imaginary parts alternate.
    """
    angles = _dft_angles(side, side)
    real = torch.stack((angles.cos(), angles.sin()), -1).flatten(1)
    imaginary = torch.stack((-angles.sin(), angles.cos()), -1).flatten(1)
    return torch.cat((real, imaginary)).to(x.device, _compute_dtype(x.dtype))


def _compute_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32
