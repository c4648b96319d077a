"""Quantized layers: int8 weights and, where the CPU has int8 dot products, uint8 activations.

The CPU's int8 instructions (VNNI, and AMX for tiles) do twice as many multiplications as those of
bf16, and their int32 sums are exact. The errors are those of rounding weights and activations to 8
bits, and the result to its type.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alexnet.inference.int8_kernels import PackedWeights, Window, int8_conv2d, int8_linear
from alexnet.inference.quantization import (
    MAX_INT8,
    bias_of,
    pack_weights,
    quantize_per_channel,
    quantize_with_error_feedback,
)
from alexnet.models.modules import Conv2d
from alexnet.ops.library import KernelLibrary
from alexnet.ops.tensors import check_float32, check_inputs, supported_type
from alexnet.ops.tile_gradients import has_tiles

WEIGHT_BLOCK = 64
"""Weights of an output that share a scale in `WeightOnlyInt8Linear`."""

MAX_WEIGHT_ONLY_BATCH = 8
"""Largest batch for which reading the weights takes longer than multiplying them, where the CPU has
no int8 dot products."""

MAX_WEIGHT_ONLY_BATCH_BESIDE_TILES = 2
"""MAX_WEIGHT_ONLY_BATCH for CPUs on which torch multiplies bf16 by tiles (AMX): at batch size 8 an
image of the paper's net took 1.25 times as long with int8 weights as without
(docs/performance.md)."""

MAX_ACCUMULATED_INPUTS = 2**31 // (255 * MAX_INT8)
"""Largest number of products of an output whose sum fits in int32, whatever the values."""


def has_fast_int8(kernels: KernelLibrary | None) -> bool:
    """Whether the CPU has int8 dot products, and the kernels are compiled for them."""
    return kernels is not None and kernels.int8_output_block > 0


def has_only_bf16_tiles(kernels: KernelLibrary | None) -> bool:
    """Whether torch multiplies bf16 by tiles (AMX), but the kernels do not do so with int8."""
    return has_tiles() and (kernels is None or kernels.instruction_set != "amx_int8")


def fits_int32_accumulator(layer: nn.Conv2d | nn.Linear) -> bool:
    """Whether the sum of an output's int8 products cannot overflow int32."""
    return layer.weight[0].numel() <= MAX_ACCUMULATED_INPUTS


class FusedReluLayer(nn.Module):
    """A layer that can clamp its outputs at 0, in place of a ReLU after it."""

    clamp_min = -math.inf
    """Value to which smaller outputs are clamped."""

    def fuse_relu(self) -> None:
        """Fuse the ReLU after the layer into it: clamp the outputs at 0."""
        self.clamp_min = 0.0


class Int8Layer(FusedReluLayer):
    """A layer of int8 weights, a scale per output, and uint8 activations, a scale per image.

    An image's scale depends on that image alone, so a prediction does not depend on the rest of the
    batch.
    """

    blocks: Tensor
    scales: Tensor
    weight_sums: Tensor
    bias: Tensor

    def __init__(self, weights: PackedWeights[Tensor], inputs: int, kernels: KernelLibrary) -> None:
        super().__init__()
        for name, tensor in weights._asdict().items():
            self.register_buffer(name, tensor)
        self.inputs, self.kernels = inputs, kernels

    @property
    def weights(self) -> PackedWeights[Tensor]:
        """The weights in the order in which the kernels read them."""
        found = PackedWeights(self.blocks, self.scales, self.weight_sums, self.bias)
        check_float32(found.scales, found.bias)
        return found


class Int8Conv2d(Int8Layer):
    """A quantized convolution."""

    def __init__(self, layer: Conv2d, dtype: torch.dtype, kernels: KernelLibrary) -> None:
        """`dtype`: type of the outputs, float32 or bf16."""
        quantized, scales = quantize_with_error_feedback(layer.weight)
        rows = quantized.permute(0, 2, 3, 1).flatten(2)  # [K, h, w * C / groups]
        block = kernels.int8_output_block
        weights = pack_weights(rows, scales, bias_of(layer), layer.groups, block)
        super().__init__(weights, layer.in_channels, kernels)
        (kernel_h, kernel_w), (stride_h, stride_w) = layer.kernel_size, layer.stride
        padding = layer.pads[0], layer.pads[0] + layer.extra_padding
        self.window = Window((kernel_h, kernel_w), (stride_h, stride_w), layer.groups, padding)
        self.is_bf16 = dtype == torch.bfloat16

    def forward(self, x: Tensor) -> Tensor:
        """Convolve activations [N, C, H, W] to [N, K, H', W'], float32 or bf16, channels last.

        Raises:
            ValueError: the activations have another number of channels than C, or are smaller than
                the kernel.
        """
        check_inputs(x, self.inputs, ndim=4)
        x = supported_type(x)
        if not x.is_contiguous():  # the kernels read planes, too
            x = x.contiguous(memory_format=torch.channels_last)
        x = x.permute(0, 2, 3, 1)
        y = int8_conv2d(x, self.weights, self.window, self.is_bf16, self.clamp_min, self.kernels)
        return y.permute(0, 3, 1, 2)


class Int8Linear(Int8Layer):
    """A quantized fully connected layer."""

    def __init__(self, layer: nn.Linear, kernels: KernelLibrary) -> None:
        quantized, scales = quantize_per_channel(layer.weight)
        block = kernels.int8_output_block
        weights = pack_weights(quantized[:, None], scales, bias_of(layer), 1, block)
        super().__init__(weights, layer.in_features, kernels)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply `x` [N, inputs] by the weights: float32 [N, outputs].

        Raises:
            ValueError: `x` has another number of inputs.
        """
        check_inputs(x, self.inputs, ndim=2)
        x = supported_type(x).contiguous()
        return int8_linear(x, self.weights, self.clamp_min, self.kernels)


class WeightOnlyInt8Linear(FusedReluLayer):
    """A fully connected layer with int8 weights for small batches, which are limited by memory.

    Each `WEIGHT_BLOCK` weights of an output share a scale, their maximum / 127. Inputs and sums are
    float32.
    """

    def __init__(
        self,
        layer: nn.Linear,
        large: nn.Module,
        kernels: KernelLibrary,
        max_batch: int = MAX_WEIGHT_ONLY_BATCH,
    ) -> None:
        """`large`: the layer for batches of more than `max_batch`."""
        super().__init__()
        self.inputs, self.max_batch = layer.in_features, max_batch
        blocks = layer.weight.detach().reshape(-1, WEIGHT_BLOCK)
        quantized, scales = quantize_per_channel(blocks)
        self.register_buffer("quantized", quantized.view(layer.weight.shape))
        self.register_buffer("scales", scales.view(layer.out_features, -1))
        self.register_buffer("bias", bias_of(layer))
        self.large = large
        self.kernels = kernels

    def forward(self, x: Tensor) -> Tensor:
        """Multiply `x` [N, inputs] by the weights: [N, outputs].

        Raises:
            ValueError: `x` has another number of inputs.
        """
        check_inputs(x, self.inputs, ndim=2)
        if len(x) > self.max_batch:
            y: Tensor = self.large(x)
            return y.clamp_(min=self.clamp_min)
        weights, scales, bias = map(self.get_buffer, ("quantized", "scales", "bias"))
        return int8_weight_only_linear(
            x.float().contiguous(), weights, scales, bias, self.clamp_min, self.kernels
        )


def int8_weight_only_linear(
    x: Tensor,
    weights: Tensor,
    scales: Tensor,
    bias: Tensor,
    clamp_min: float,
    kernels: KernelLibrary,
) -> Tensor:
    """Multiply x [N, n] by int8 weights [m, n] with scales [m, n / 64]: float32 [N, m].

    Outputs below `clamp_min` are clamped to it.
    """
    check_float32(x, scales, bias)
    y = x.new_empty(len(x), len(weights))
    sizes = *x.shape, len(weights)
    kernels.call("int8_weight_only_linear", x, weights, scales, bias, y, *sizes, clamp_min)
    return y
