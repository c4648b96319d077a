"""Float weights as int8: by hand, and with less error where inputs are smooth."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.inference.quantization import (
    bias_of,
    pack_weights,
    quantize_per_channel,
    quantize_with_error_feedback,
)
from support.kernels import randn


def test_quantized_weights_by_hand() -> None:
    quantized, scales = quantize_per_channel(torch.tensor([[1.27, -0.5, 0.004], [0, 0, 0]]))
    assert quantized.tolist() == [[127, -50, 0], [0, 0, 0]]
    assert scales[0] == pytest.approx(0.01)


def test_the_next_weight_takes_over_a_rounding_error_by_hand() -> None:
    """.4 becomes 0, and .2 + .9 * .4 rounds to 1; .08 + .9 * .45 rounds to 0."""
    weight = torch.tensor([[127, 0.4, 0.2], [127, 0.45, 0.08]]).view(2, 1, 1, 3)
    assert quantize_with_error_feedback(weight)[0].flatten(1).tolist() == [[127, 0, 1], [127, 0, 0]]
    assert quantize_per_channel(weight)[0].flatten(1).tolist() == [[127, 0, 0], [127, 0, 0]]


def test_1x1_kernels_are_rounded_to_the_nearest() -> None:
    weight = randn(8, 6, 1, 1)
    for found, expected in zip(
        quantize_with_error_feedback(weight), quantize_per_channel(weight), strict=True
    ):
        assert torch.equal(found, expected)


def test_errors_cancel_where_inputs_are_smooth() -> None:
    weight, x = randn(16, 8, 5, 5), F.interpolate(randn(2, 8, 4, 4), size=40, mode="bicubic")

    def error(quantized: Tensor, scales: Tensor) -> float:
        rounded = quantized * scales.view(-1, 1, 1, 1)
        return float((F.conv2d(x, rounded) - F.conv2d(x, weight)).square().mean().sqrt())

    assert error(*quantize_with_error_feedback(weight)) < error(*quantize_per_channel(weight)) / 3


def test_packed_weights_by_hand() -> None:
    """Two groups of one output in blocks of two; a row of five is padded to two words of four."""
    quantized = torch.arange(1, 11, dtype=torch.int8).view(2, 1, 5)
    packed = pack_weights(quantized, torch.ones(2), torch.zeros(2), groups=2, output_block=2)
    assert packed.blocks.shape == (2, 2, 2 * 4)  # blocks, words, bytes of two outputs
    first, second = packed.blocks.view(2, 2, 2, 4).tolist()
    assert first == [[[1, 2, 3, 4], [0] * 4], [[5, 0, 0, 0], [0] * 4]]
    assert second == [[[6, 7, 8, 9], [0] * 4], [[10, 0, 0, 0], [0] * 4]]
    assert packed.weight_sums.tolist() == [15, 40]


def test_a_layer_without_bias_gets_zeros() -> None:
    assert torch.equal(bias_of(nn.Linear(4, 3, bias=False)), torch.zeros(3))
    assert bias_of(nn.Linear(4, 3).bfloat16()).dtype == torch.float32
