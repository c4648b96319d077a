"""Mean and deviation of maps, channel by channel, and errors as shares of the variance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 1e-6
"""Deviations below this are taken for none."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of maps [N, C, H, W], over pictures and places."""

    mean: Tensor
    """[C]."""
    deviations: Tensor
    """[C], around each channel's own mean."""

    @property
    def deviation(self) -> float:
        """Root of the mean variance of all channels; 1 where nothing varies."""
        spread = float(self.deviations.square().mean().sqrt())
        return spread if spread > LEAST else 1.0


@torch.no_grad()
def moments(batches: Iterable[Tensor]) -> Moments:
    """The moments of all batches together, added up in float64."""
    count, total, square = 0, torch.zeros(()), torch.zeros(())
    for maps in batches:
        wide = maps.double()
        count += wide.numel() // wide.shape[1]
        total = total.to(wide) + wide.sum((0, 2, 3))
        square = square.to(wide) + wide.square().sum((0, 2, 3))
    mean = total / count
    variance = (square / count - mean.square()).clamp(min=0)
    return Moments(mean.float(), variance.sqrt().float())


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared difference."""
    return (x - y).square().mean()
