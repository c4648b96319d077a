"""Tensors as the C kernels take them."""

from __future__ import annotations

import torch
from torch import Tensor

SUFFIX = {torch.float32: "f32", torch.bfloat16: "bf16"}
"""End of a kernel's name, for each tensor type that it is compiled for."""


def supported_type(x: Tensor) -> Tensor:
    """Activations in a type that the kernels take: others, such as fp16, in float32."""
    return x if x.dtype in SUFFIX else x.float()


def check_float32(*tensors: Tensor) -> None:
    """Reject other types, whose memory a C kernel would misread (after `network.half()`, say).

    Raises:
        ValueError: a tensor is not float32.
    """
    for x in tensors:
        if x.dtype != torch.float32:
            raise ValueError(f"an optimized layer computes with float32, not {x.dtype}")


def check_inputs(x: Tensor, inputs: int, ndim: int) -> None:
    """Reject inputs of a wrong shape, for which a C kernel would leave their memory.

    Args:
        x: a layer's inputs.
        inputs: channels or features that the layer takes.
        ndim: 4 for [N, C, H, W], 2 for [N, features].

    Raises:
        ValueError: `x` has another shape.
    """
    if x.ndim != ndim or x.shape[1] != inputs:
        expected = ", ".join(("N", str(inputs), "H", "W")[:ndim])
        raise ValueError(f"this layer takes inputs of shape [{expected}], not {list(x.shape)}")
