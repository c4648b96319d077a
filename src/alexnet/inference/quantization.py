"""Quantize weights to int8 with float32 scales, and order them in memory for the C kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.inference.int8_kernels import STEP_WORDS, PackedWeights

MAX_INT8 = 127
"""The quantized weights lie between -127 and 127, so that the range is symmetric."""
INPUT_CORRELATION = 0.9
"""Correlation of adjacent pixels of an activation map; assumed, not calibrated
(docs/performance.md)."""


WEIGHTS_AT_A_TIME = 1 << 22
"""Weights that are rounded at a time, which limits temporary memory to 16 megabytes."""


def quantize_per_channel(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [outputs, ...] rounded to int8 of the same shape, and their scales float32 [outputs].

    The largest weight of an output becomes 127 or -127.
    """
    rows = weight.detach().float().flatten(1)
    quantized = torch.empty_like(rows, dtype=torch.int8)
    scales = rows.new_empty(len(rows))
    count = max(1, WEIGHTS_AT_A_TIME // rows.shape[1])
    for first in range(0, len(rows), count):
        part = slice(first, first + count)
        largest = rows[part].abs().amax(1)
        scales[part] = (largest / MAX_INT8).clamp(min=torch.finfo(torch.float32).tiny)
        quantized[part] = (rows[part] / scales[part, None]).round_()
    return quantized.view(weight.shape), scales


def quantize_with_error_feedback(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Kernels [K, C, h, w] as int8 of the same shape, and their scales float32 [K], by GPTQ.

    An output is the sum of weight * input. Adjacent pixels of an input are correlated, so rounding
    errors of opposite sign nearly cancel within one channel's h x w kernel. The P = h * w weights
    w_i of a kernel are rounded in order, and each error is fed back into those that follow:

        q_i = round(w_i),   w_j <- w_j - (w_i - q_i) * U_ij / U_ii   for all j > i

    where U is the upper Cholesky factor [P, P] of the inverse of the inputs' correlation matrix.
    GPTQ measures that matrix on calibration data; here it is INPUT_CORRELATION ** (distance of the
    two pixels).

    Source: Frantar et al. 2022, "GPTQ", section 3.
    """
    scales = quantize_per_channel(weight)[1]
    remaining = weight.detach().float().flatten(2) / scales[:, None, None]  # [K, C, P]
    feedback = _error_feedback(weight)
    quantized = torch.empty_like(remaining)
    for i in range(len(feedback)):
        quantized[..., i] = remaining[..., i].round().clamp(-MAX_INT8, MAX_INT8)
        error = (remaining[..., i] - quantized[..., i]) / feedback[i, i]  # [K, C]
        remaining[..., i + 1 :] -= error[..., None] * feedback[i, i + 1 :]
    return quantized.to(torch.int8).view(weight.shape), scales


def _error_feedback(weight: Tensor) -> Tensor:
    """The matrix U of `quantize_with_error_feedback` for kernels [K, C, h, w]: [h * w, h * w]."""
    sides = (torch.arange(side, device=weight.device) for side in weight.shape[2:])
    pixels = torch.cartesian_prod(*sides).double()  # [P, 2]
    correlation = INPUT_CORRELATION ** torch.cdist(pixels, pixels)
    factor: Tensor = torch.linalg.cholesky(torch.linalg.inv(correlation), upper=True)
    return factor.float()


def pack_weights(
    quantized: Tensor, scales: Tensor, bias: Tensor, groups: int, output_block: int
) -> PackedWeights[Tensor]:
    """Put weights into the kernels' order, padded with zeros to whole blocks.

    Args:
        quantized: int8 [outputs, kernel rows, length]; a row's inputs are contiguous in memory.
        scales: float32 [outputs].
        bias: float32 [outputs].
        groups: groups of outputs that read different inputs; a block lies in one group.
        output_block: outputs that a kernel computes at a time.
    """
    outputs, rows, length = quantized.shape
    grouped = quantized.reshape(groups, outputs // groups, rows, length)
    missing = -(outputs // groups) % output_block
    words = padded_words(length)
    grouped = F.pad(grouped, (0, 4 * words - length, 0, 0, 0, missing))
    blocks = grouped.contiguous().view(torch.int32)  # a word of four bytes is moved as a whole
    blocks = blocks.reshape(-1, output_block, rows * words).mT
    packed = blocks.contiguous().view(torch.int8)
    sums = quantized.flatten(1).sum(1, dtype=torch.int32)
    return PackedWeights(packed, scales, sums, bias)


def padded_words(length: int) -> int:
    """The number of words of four bytes to which a row is padded, so that its steps are equal."""
    words = -(-length // 4)
    steps = -(-words // STEP_WORDS)
    return steps * -(-words // steps)


def bias_of(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """The bias as float32 [outputs]; zeros where the layer has none."""
    if layer.bias is None:
        return layer.weight.new_zeros(len(layer.weight), dtype=torch.float32)
    return layer.bias.detach().float().clone()
