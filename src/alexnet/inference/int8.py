"""Layers whose weights, and where the processor gains by it whose inputs, are bytes.

The processor's instructions for products of bytes (VNNI) do twice as many as in bf16, and their
sums are exact. What is lost is the rounding of weights and inputs to 8 bits, and of the result to
the type that is asked for.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.models.modules import Conv2d
from alexnet.ops.library import BLOCK, Kernels, PackedWeights, Window

LARGEST_WEIGHTS_ONLY_BATCH = 8
"""Up to it reading the weights costs more than the products, where bytes are not multiplied."""

IMAGES_AT_A_TIME = 8
"""In a convolution of bytes, so that they stay in the processor's caches."""

LARGEST_WINDOW = 2**31 // (255 * 127)
"""Weights of an output whose products' sum is a whole number of 32 bits, whatever they are."""

INPUT_CORRELATION = 0.9
"""Assumed correlation of a map's neighbouring numbers (docs/performance.md)."""


def has_fast_int8(built: Kernels | None) -> bool:
    """Whether products of bytes are the fastest that this processor has.

    AMX multiplies tiles of bf16 faster than other instructions multiply bytes.
    """
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return built is not None and built.output_block > 0 and not has_amx


def fits_int32_accumulator(layer: nn.Conv2d | nn.Linear) -> bool:
    """Whether a layer's sums of products of bytes fit in 32 bits."""
    return layer.weight[0].numel() <= LARGEST_WINDOW


def quantize_per_channel(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [outputs, ...] as int8 of the same shape, and float32 scales [outputs].

    An output's largest weight becomes 127 or -127.
    """
    rows = weight.detach().float().flatten(1)
    scales = (rows.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    return (rows / scales[:, None]).round().to(torch.int8).view(weight.shape), scales


def quantize_with_error_feedback(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Kernels [maps, channels, h, w] as int8 of the same shape, and float32 scales [maps].

    A map's neighbouring numbers resemble each other, so that errors of rounding with both signs in
    one kernel nearly cancel: a weight's error is handed on to the weights of its kernel that are
    not rounded yet, by the rule of Frantar et al. 2022 ("GPTQ", section 3), where the inputs'
    correlation at distance d is not measured but taken for `INPUT_CORRELATION` ** d.
    """
    scales = quantize_per_channel(weight)[1]
    left = weight.detach().float().flatten(2) / scales[:, None, None]
    sides = (torch.arange(side, device=weight.device) for side in weight.shape[2:])
    places = torch.cartesian_prod(*sides).double()
    likeness = INPUT_CORRELATION ** torch.cdist(places, places)
    handed = torch.linalg.cholesky(torch.linalg.inv(likeness), upper=True).float()
    whole = torch.empty_like(left)
    for i in range(len(places)):
        whole[..., i] = left[..., i].round().clamp(-127, 127)
        error = (left[..., i] - whole[..., i]) / handed[i, i]
        left[..., i + 1 :] -= error[..., None] * handed[i, i + 1 :]
    return whole.to(torch.int8).view(weight.shape), scales


def pack_weights(
    whole: Tensor, scales: Tensor, bias: Tensor, groups: int, built: Kernels
) -> PackedWeights:
    """Weights int8 [outputs, rows, runs, length] in the order of `PackedWeights`, zeros between."""
    wide = built.output_block
    outputs, rows, runs, length = whole.shape
    grouped = whole.reshape(groups, outputs // groups, rows, runs, length)
    grouped = F.pad(grouped, (0, -length % 4, 0, 0, 0, 0, 0, -(outputs // groups) % wide))
    blocks = grouped.reshape(-1, wide, rows, runs, -(-length // 4), 4)
    sums = whole.flatten(1).sum(1, dtype=torch.int32)
    return PackedWeights(blocks.permute(0, 2, 3, 4, 1, 5).contiguous(), scales, sums, bias)


def bias_of(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """The bias as float32 [outputs]; zeros where the layer has none."""
    if layer.bias is None:
        return layer.weight.new_zeros(len(layer.weight), dtype=torch.float32)
    return layer.bias.detach().float().clone()


class Int8Layer(nn.Module):
    """A layer of bytes, which can have its ReLU in itself."""

    least = -math.inf
    """What is less becomes that."""

    def rectify(self) -> None:
        """Take the ReLU behind the layer into it."""
        self.least = 0.0


class ByteLayer(Int8Layer):
    """A layer whose inputs are bytes, too: weights with a scale per output, inputs per image.

    An image's scale depends on that image alone, so what is said of a picture does not depend on
    the others of its batch.
    """

    blocks: Tensor
    scales: Tensor
    sums: Tensor
    bias: Tensor

    def __init__(self, weights: PackedWeights, inputs: int, built: Kernels) -> None:
        super().__init__()
        for name, tensor in weights._asdict().items():
            self.register_buffer(name, tensor)
        self.inputs, self.built = inputs, built

    def _check(self, x: Tensor) -> None:
        if x.shape[1] != self.inputs:
            raise ValueError(f"this layer takes {self.inputs} inputs, not {x.shape[1]}")

    @property
    def weights(self) -> PackedWeights:
        """As kernels read them."""
        return PackedWeights(self.blocks, self.scales, self.sums, self.bias)


class Int8Conv(ByteLayer):
    """A convolution of bytes."""

    def __init__(self, layer: Conv2d, dtype: torch.dtype, built: Kernels) -> None:
        whole, scales = quantize_with_error_feedback(layer.weight)
        runs = whole.permute(0, 2, 3, 1)
        runs = runs.flatten(2).unsqueeze(2) if layer.groups == 1 else runs
        weights = pack_weights(runs, scales, bias_of(layer), layer.groups, built)
        super().__init__(weights, layer.in_channels, built)
        (tall, wide), (down, across) = layer.kernel_size, layer.stride
        self.window = Window((tall, wide), (down, across), layer.groups)
        self.border = layer.pads[0], layer.pads[0] + layer.extra_padding
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to maps of the type given, channels last."""
        self._check(x)
        x = x.contiguous(memory_format=torch.channels_last)
        rows, columns = self.window.places(*(side + sum(self.border) for side in x.shape[2:]))
        weights = self.weights
        y = x.new_empty((len(x), rows, columns, len(weights.bias)), dtype=self.dtype)
        y = y.permute(0, 3, 1, 2)
        for first in range(0, len(x), IMAGES_AT_A_TIME):
            some = slice(first, first + IMAGES_AT_A_TIME)
            numbers = self.built.to_bytes(x[some], self.border)
            self.built.int8_conv2d(numbers, weights, y[some], self.window, self.least)
        return y


class Int8Linear(ByteLayer):
    """A fully connected layer of bytes."""

    def __init__(self, layer: nn.Linear, built: Kernels) -> None:
        whole, scales = quantize_per_channel(layer.weight)
        runs = whole[:, None, None]
        weights = pack_weights(runs, scales, bias_of(layer), 1, built)
        super().__init__(weights, layer.in_features, built)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] to float32 [B, outputs]."""
        self._check(x)
        numbers = self.built.to_bytes(x.contiguous())
        return self.built.int8_linear(numbers, self.weights, self.least)


class WeightOnlyInt8Linear(Int8Layer):
    """A fully connected layer that reads weights of one byte for small batches.

    Each 64 weights of an output share a scale, their largest / 127. Inputs and sums are float32.
    """

    def __init__(self, layer: nn.Linear, large: nn.Module, built: Kernels) -> None:
        """`large` takes the batches of more than `LARGEST_WEIGHTS_ONLY_BATCH`."""
        super().__init__()
        blocks = layer.weight.detach().reshape(-1, BLOCK)
        weights, scales = quantize_per_channel(blocks)
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
        return self.built.int8_weight_only_linear(
            x.float().contiguous(), weights, scales, bias, self.least
        )
