"""Dropout on a CPU, whose masks are cheap to draw.

torch draws one value at a time, and uses the generator twice for each: for the outputs of fc6 and
fc7 of 128 images 17 ms of a step. Here a number of 64 bits decides over two values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 2**32
"""Values of a number of 32 bits: a probability is rounded to a multiple of 1 / STEPS."""


def dropout(x: Tensor, p: float) -> Tensor:
    """`torch.nn.functional.dropout` in training: zeros with probability `p`, the others / (1 - p).

    On a CPU the mask depends on the seed of torch's generator and on the shape of `x`, not on its
    order in memory, the number of threads or its type.
    """
    threshold = round((1 - p) * STEPS) - STEPS // 2
    is_traced = torch.compiler.is_compiling() or torch.compiler.is_exporting()
    if x.device.type != "cpu" or is_traced or not -STEPS // 2 < threshold < STEPS // 2:
        return F.dropout(x, p)
    numbers = torch.empty((x.numel() + 1) // 2, dtype=torch.int64)
    numbers.random_(torch.iinfo(torch.int64).min, None)
    is_kept = numbers.view(torch.int32)[: x.numel()].view(x.shape) < threshold
    return x * is_kept.to(x.dtype).div_(1 - p)
