"""Activations as the int8 layers quantize them, by the same kernel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from alexnet.ops.library import KernelLibrary
from alexnet.ops.tensors import SUFFIX


class Quantized(NamedTuple):
    """Images as uint8, each with its own scale: activation = (value - zero_point) * scale."""

    values: Tensor
    """uint8 [N, groups, H, W, C / groups]."""
    scales: Tensor
    """float32 [N]."""
    zero_points: Tensor
    """int32 [N]."""


def quantize(
    x: Tensor, kernels: KernelLibrary, padding: tuple[int, int] = (0, 0), groups: int = 1
) -> Quantized:
    """Quantize [N, H, W, C], contiguous or a view of [N, C, H, W], or [N, C]."""
    n, h, w, c = x.shape if x.ndim == 4 else (len(x), 1, 1, x.shape[1])
    padded_h, padded_w = h + sum(padding), w + sum(padding)
    values = torch.empty(n, groups, padded_h, padded_w, c // groups, dtype=torch.uint8)
    scales, zero_points = torch.empty(n), torch.empty(n, dtype=torch.int32)
    sizes = n, h, w, groups, c // groups, padding[0], padded_h, padded_w, not x.is_contiguous()
    kernels.call(f"quantize_{SUFFIX[x.dtype]}", x, values, scales, zero_points, sizes)
    return Quantized(values, scales, zero_points)
