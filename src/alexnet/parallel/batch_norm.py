"""Batch norm with the statistics of the whole batch, whose images are spread over processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn


class _SumOverRanks(torch.autograd.Function):
    """The sum of a tensor over all processes; backward, the gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        total: Tensor = _SumOverRanks.apply(*grad_outputs)  # type: ignore[no-untyped-call]
        return total


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm [N, C, ...]; in training mode N counts the images of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x to the same shape; in training mode update the running statistics."""
        if not self.training:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        mean, variance, count = _statistics(x.float())
        self._update_running(mean.detach(), variance.detach() * (count / (count - 1)))
        shape = (1, -1, *(1,) * (x.ndim - 2))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        y = (x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and (biased) variance [C] of each channel over all processes, and the number of values.

    The variance is the mean squared distance from the mean, which loses no digits where the mean is
    large; so there are two exchanges.
    """
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = (1, -1, *(1,) * (x.ndim - 2))
    values = x.new_tensor([x.numel() / x.shape[1]])
    sums = _sum(torch.cat([x.sum(axes), values]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    variance = _sum((x - mean.view(shape)).square().sum(axes)) / count
    return mean, variance, count


def _sum(x: Tensor) -> Tensor:
    total: Tensor = _SumOverRanks.apply(x)  # type: ignore[no-untyped-call]
    return total


class SyncBatchNorm1d(SyncBatchNorm, nn.BatchNorm1d):
    """`nn.BatchNorm1d` with the statistics of all processes."""


class SyncBatchNorm2d(SyncBatchNorm, nn.BatchNorm2d):
    """`nn.BatchNorm2d` with the statistics of all processes."""


def synchronize_batch_norm(network: nn.Module) -> None:
    """Let every batch norm of a network use the statistics of all processes' images, in place.

    Names, weights and statistics stay. It computes in float32, and on every kind of device; torch's
    own SyncBatchNorm is for GPUs only.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            is_flat = isinstance(module, nn.BatchNorm1d)
            module.__class__ = SyncBatchNorm1d if is_flat else SyncBatchNorm2d
