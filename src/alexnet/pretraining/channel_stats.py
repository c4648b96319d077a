"""Mean and standard deviation of each channel, and the squared error that is compared with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.parallel.world import current_world
from alexnet.runtime.device import to_float64

MIN_STD = 1e-6
"""A channel with a smaller standard deviation counts as constant."""


@dataclass(frozen=True, eq=False)
class ChannelStats:
    """Statistics of activations [N, C, H, W], taken over N, H and W."""

    mean: Tensor
    """[C], the mean of each channel."""
    std: Tensor
    """[C], the standard deviation of each channel."""

    @property
    def overall_std(self) -> float:
        """Square root of the variance averaged over channels; 1 where every channel is constant."""
        std = float(self.std.square().mean().sqrt())
        return std if std > MIN_STD else 1.0


@torch.no_grad()
def measure_stats(batches: Iterable[Tensor]) -> ChannelStats:
    """Statistics of the batches of all processes together, accumulated in float64."""
    count, total, square, device = 0, torch.zeros(()), torch.zeros(()), torch.device("cpu")
    for batch in batches:
        x, device = to_float64(batch), batch.device
        count += x.numel() // x.shape[1]
        total = total.to(x) + x.sum((0, 2, 3))
        square = square.to(x) + x.square().sum((0, 2, 3))
    total, square, num = current_world().sum_over_ranks(total, square, total.new_tensor([count]))
    mean = total / num
    variance = (square / num - mean.square()).clamp(min=0)
    return ChannelStats(mean.float().to(device), variance.sqrt().float().to(device))


def mean_squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean of (x - y)^2 over all elements."""
    return (x - y).square().mean()
