"""Gradients of weights by AMX's tiles of bf16, by kernels of our own.

oneDNN computes the weight gradients of convolutions of narrow maps at a third to two thirds of the
rate of the forward pass, and those of linear layers at half of the kernel's rate
(docs/performance.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.ops.library import call_kernel, load_kernels

TILE = 16
"""Channels of a tile."""


def has_tiles() -> bool:
    """Whether torch multiplies bf16 by tiles (AMX)."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())


def has_tile_kernels() -> bool:
    """Whether this machine's kernels multiply bf16 in AMX tiles."""
    kernels = load_kernels()
    return kernels is not None and kernels.has_bf16_tiles


def conv_gradients(
    x: Tensor, grad: Tensor, kernel: tuple[int, int], padding: tuple[int, int], groups: int = 1
) -> tuple[Tensor, Tensor]:
    """The gradients of a convolution's weight and bias, in float32, without stride or dilation.

    Args:
        x: inputs, bf16 [N, C, H, W]; C / groups is a multiple of 16.
        grad: of the outputs, bf16 [N, K, H', W']; K / groups is a multiple of 16.
        kernel: height h and width w of the kernels.
        padding: rows and columns of zeros on each side.
        groups: of channels.

    Returns:
        [K, C / groups, h, w], channels last, and [K].

    Raises:
        MemoryError: there is none for the tiles.
    """
    x, grad = (t.contiguous(memory_format=torch.channels_last) for t in (x, grad))
    n, channels, height, width = x.shape
    outputs, rows, columns = grad.shape[1:]
    weight = torch.empty(
        (outputs, channels // groups, *kernel),
        dtype=torch.float32,
        device=x.device,
        memory_format=torch.channels_last,
    )
    bias = x.new_empty(outputs, dtype=torch.float32)
    sizes = n, height, width, channels, rows, columns, outputs, groups, *kernel, *padding
    call_kernel("tile_conv_gradients", x, grad, weight, bias, sizes)
    return weight, bias


def can_compute_linear_gradients(inputs: int, outputs: int) -> bool:
    """Whether `linear_gradients` supports a layer with these numbers of features."""
    return inputs % (2 * TILE) == 0 and outputs % TILE == 0 and has_tile_kernels()


def linear_gradients(x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of a linear layer's weight, in bf16, and bias, in float32.

    Args:
        x: inputs, bf16 [N, in_features].
        grad: of the outputs, bf16 [N, out_features].

    Returns:
        [out_features, in_features] and [out_features].

    Raises:
        MemoryError: there is none for the tiles.
    """
    (n, inputs), outputs = x.shape, grad.shape[1]
    weight = x.new_empty(outputs, inputs, dtype=torch.bfloat16)
    bias = x.new_empty(outputs, dtype=torch.float32)
    call_kernel(
        "tile_linear_gradients", x.contiguous(), grad.contiguous(), weight, bias, n, inputs, outputs
    )
    return weight, bias
