"""Dropout on a CPU, whose masks are cheap to draw.

torch draws one value at a time, and uses the generator twice for each. Here a number of 64 bits
decides over two values, in a third of the time (docs/performance.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.ops.tracing import is_traced

STEPS = 2**32
"""Number of values of a 32-bit integer: a probability is rounded to a multiple of 1 / STEPS."""


def dropout(x: Tensor, p: float) -> Tensor:
    """Dropout in training mode; on a GPU and while compiling it is `torch.nn.functional.dropout`.

    On a CPU the mask depends on the seed of torch's generator and on the shape of `x`, not on its
    order in memory, the number of threads or its type.

    Args:
        x: of any shape and floating-point type.
        p: the probability of a zero, 0 to 1; all other values are divided by 1 - p.

    Raises:
        ValueError: `p` is not a probability.
    """
    threshold = round((1 - p) * STEPS) - STEPS // 2
    is_certain = not -STEPS // 2 < threshold < STEPS // 2
    if x.device.type != "cpu" or is_certain or is_traced():
        return F.dropout(x, p)
    numbers = torch.empty((x.numel() + 1) // 2, dtype=torch.int64, device=x.device)
    numbers.random_(torch.iinfo(torch.int64).min, None)
    is_kept = numbers.view(torch.int32)[: x.numel()].view(x.shape) < threshold
    return x * is_kept.to(x.dtype).div_(1 - p)
