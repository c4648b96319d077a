"""Layers whose weights, and where the processor gains by it whose inputs, are bytes.

The processor's instructions for products of bytes (VNNI) do twice as many as in bf16. The sums of
products are whole numbers; what is lost is the rounding of weights and inputs to 8 bits, and of the
result to the type that is asked for.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.kernels import BLOCK, Kernels

LARGEST_WEIGHTS_ONLY_BATCH = 8
"""Up to it reading the weights costs more than the products (docs/performance.md)."""

FIRST_EXACT = 2
"""Layers with weights at the bottom of a net that are not rounded: conv2's rounding costs more
accuracy than that of all layers above it together (docs/performance.md)."""


def multiplies_bytes() -> bool:
    """Whether this processor multiplies bytes in hardware, and torch has the operations for it."""
    probes = ("_is_vnni_supported", "_is_avx512_vnni_supported", "_is_amx_tile_supported")
    is_fast = any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    operations = ("qconv2d_pointwise", "qconv_prepack", "qlinear_pointwise", "qlinear_prepack")
    return is_fast and all(hasattr(torch.ops.onednn, name) for name in operations)


def row_bytes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [outputs, ...] as int8 of the same shape, and float32 scales [outputs].

    An output's largest weight becomes 127 or -127.
    """
    rows = weight.detach().float().flatten(1)
    scales = (rows.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    return (rows / scales[:, None]).round().to(torch.int8).view(weight.shape), scales


def bias_of(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """The bias as float32 [outputs]; zeros where the layer has none."""
    if layer.bias is None:
        return torch.zeros(len(layer.weight))
    return layer.bias.detach().float().clone()


class Int8Layer(nn.Module):
    """A layer of bytes, which can have its ReLU in itself."""

    least = -math.inf
    """What is less becomes that."""

    def rectify(self) -> None:
        """Take the ReLU behind the layer into it."""
        self.least = 0.0


class Int8Conv(Int8Layer):
    """A convolution of bytes: weights with a scale per map, inputs with a scale per image.

    An image's scale depends on that image alone, so what is said of a picture does not depend on
    the others of its batch. For inputs that are not negative.
    """

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype, built: Kernels) -> None:
        super().__init__()
        assert not isinstance(layer.padding, str)
        weights, scales = row_bytes(layer.weight)
        self.register_buffer("scales", scales)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int64))
        self.register_buffer("bias", bias_of(layer))
        self.window = (*map(list, (layer.stride, layer.padding, layer.dilation)), layer.groups)
        self.packed: Any = torch.ops.onednn.qconv_prepack(weights, scales, 1.0, 0, *self.window)
        self.dtype, self.built = dtype, built

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to maps of the type given, channels last."""
        x = x.contiguous(memory_format=torch.channels_last)
        pixels, scales = self.built.to_bytes(x)
        y = torch.ops.onednn.qconv2d_pointwise(
            *(pixels, 1.0, 0),
            *(self.packed, self.get_buffer("scales"), self.get_buffer("zeros"), None),
            *self.window,
            *(1.0, 0, self.dtype, "none", [], ""),
        )
        y = y.contiguous(memory_format=torch.channels_last)
        return self.built.from_bytes_(y, scales, self.get_buffer("bias"), self.least)


class Int8Linear(Int8Layer):
    """A fully connected layer of bytes: weights with a scale per output, inputs per image.

    For inputs that are not negative; float32 comes out.
    """

    def __init__(self, layer: nn.Linear, built: Kernels) -> None:
        super().__init__()
        weights, scales = row_bytes(layer.weight)
        self.register_buffer("scales", scales)
        self.register_buffer("zeros", torch.zeros(len(scales), dtype=torch.int64))
        self.register_buffer("bias", bias_of(layer))
        self.packed: Any = torch.ops.onednn.qlinear_prepack(weights, None)
        self.built = built

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] to [B, outputs]."""
        numbers, scales = self.built.to_bytes(x.contiguous())
        y = torch.ops.onednn.qlinear_pointwise(
            *(numbers, 1.0, 0),
            *(self.packed, self.get_buffer("scales"), self.get_buffer("zeros"), None),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        return self.built.from_bytes_(y, scales, self.get_buffer("bias"), self.least)


class SmallLinear(Int8Layer):
    """A fully connected layer that reads weights of one byte for small batches.

    Each 64 weights of an output share a scale, their largest / 127. Inputs and sums are float32.
    """

    def __init__(self, layer: nn.Linear, large: nn.Module, built: Kernels) -> None:
        """`large` takes the batches of more than `LARGEST_WEIGHTS_ONLY_BATCH`."""
        super().__init__()
        blocks = layer.weight.detach().reshape(-1, BLOCK)
        weights, scales = row_bytes(blocks)
        self.register_buffer("bytes", weights.view(layer.weight.shape))
        self.register_buffer("scales", scales.view(layer.out_features, -1))
        self.register_buffer("bias", bias_of(layer))
        self.large = large
        self.built = built

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] to [B, outputs]."""
        if len(x) > LARGEST_WEIGHTS_ONLY_BATCH:
            y: Tensor = self.large(x)
            return y.clamp_(min=self.least)
        weights, scales, bias = map(self.get_buffer, ("bytes", "scales", "bias"))
        return self.built.linear_int8(x.float().contiguous(), weights, scales, bias, self.least)
