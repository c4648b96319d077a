"""The figures of a step, which are its loss and errors, and their sums over an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from alexnet.evaluation.metrics import rank_of_label
from alexnet.parallel.world import ALONE, World
from alexnet.runtime.device import to_float64


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningMetrics:
    """Sums since the epoch began.

    Steps with CutMix or mixup are summed separately: their loss and error do not measure what was
    learned.
    """

    loss: float = 0.0
    top1_wrong: int = 0
    top5_wrong: int = 0
    images: int = 0
    mixed_loss: float = 0.0
    mixed_images: int = 0
    mixed_top1_wrong: float = 0.0
    """Sum over the mixed images of the fraction of each that is of another class than the predicted
    one."""
    mixed_top5_wrong: float = 0.0

    @property
    def mean_loss(self) -> float:
        """Mean loss over the steps without mixed images, or over all if every step had some."""
        return self._mean(self.loss, self.mixed_loss)

    @property
    def top1_error(self) -> float:
        """Top-1 error over the steps without mixed images, or over all if every step had some."""
        return self._mean(self.top1_wrong, self.mixed_top1_wrong)

    @property
    def top5_error(self) -> float:
        """Top-5 error over the steps without mixed images, or over all if every step had some."""
        return self._mean(self.top5_wrong, self.mixed_top5_wrong)

    def plus(self, sums: Sequence[float], is_mixed: bool) -> RunningMetrics:
        """The sums with the `step_sums` of one more step added."""
        loss, top1_wrong, top5_wrong, count = sums[0], sums[1], sums[2], int(sums[3])
        if is_mixed:
            return replace(
                self,
                mixed_loss=self.mixed_loss + loss * count,
                mixed_top1_wrong=self.mixed_top1_wrong + top1_wrong,
                mixed_top5_wrong=self.mixed_top5_wrong + top5_wrong,
                mixed_images=self.mixed_images + count,
            )
        return replace(
            self,
            loss=self.loss + loss * count,
            top1_wrong=self.top1_wrong + int(top1_wrong),
            top5_wrong=self.top5_wrong + int(top5_wrong),
            images=self.images + count,
        )

    def _mean(self, total: float, mixed_total: float) -> float:
        return total / self.images if self.images else mixed_total / self.mixed_images


@dataclass(kw_only=True, slots=True)
class StepFigures:
    """The reported figures of one step."""

    step: int
    """Counted from 1."""
    lr: float
    num_images: int
    is_mixed: bool
    """Whether its images were mixed."""
    values: Tensor
    """float64 [5]: `step_sums`, and 1 if the weights were left as they were, since a loss or a
    gradient was not finite."""
    is_copied: torch.cuda.Event | None = None
    """Event after which the values are in the memory of the host; None if they were not on a
    GPU."""
    metrics: RunningMetrics | None = None
    """Metrics of the epoch up to and including this step, once it is counted."""

    @property
    def step_loss(self) -> float:
        """The loss of this step alone."""
        return self.read()[0]

    def begin_copy(self) -> None:
        """Begin to copy the values to the host, after the operations queued on the GPU so far."""
        if self.values.device.type != "cuda":
            return
        stream = torch.cuda.current_stream(self.values.device)  # it may not be the first GPU
        copy = torch.empty_like(self.values, device="cpu", pin_memory=True)
        self.values = copy.copy_(self.values, non_blocking=True)
        self.is_copied = stream.record_event()

    def read(self) -> list[float]:
        """The values, once the GPU has written them."""
        if self.is_copied:
            self.is_copied.synchronize()
        values: list[float] = self.values.tolist()
        return values


def step_sums(
    loss: Tensor,
    logits: Tensor,
    labels: Tensor,
    mixed_targets: Tensor | None,
    world: World = ALONE,
) -> Tensor:
    """Loss of a batch, its numbers of top-1 and top-5 errors, and of all images: float64 [4].

    Of mixed images the fractions are summed that are of other classes than the predicted ones.

    Args:
        loss: mean over the batch.
        logits: [n, num_classes], of the images of this process, as are the next two.
        labels: int64 [n].
        mixed_targets: [n, num_classes] if the images were mixed.
        world: the processes that the batch is spread over.
    """
    if mixed_targets is None:
        rank = rank_of_label(logits, labels)
        sums = to_float64(_sums(rank >= 1, rank >= 5, world))
    else:
        best = logits.topk(min(5, logits.shape[1])).indices
        fractions = to_float64(mixed_targets.gather(1, best))
        found = _sums(fractions[:, 0], fractions, world)
        sums = torch.stack([found[2] - found[0], found[2] - found[1], found[2]])
    return torch.cat([to_float64(loss.reshape(1)), sums])


def count_wrong(logits: Tensor, labels: Tensor, world: World = ALONE) -> tuple[int, int, int]:
    """Numbers of top-1 errors, of top-5 errors and of images in a batch.

    Args:
        logits: [n, num_classes], of the images of this process.
        labels: int64 [n].
        world: the processes that the batch is spread over.
    """
    rank = rank_of_label(logits, labels)
    top1_wrong, top5_wrong, count = _sums(rank >= 1, rank >= 5, world).tolist()
    return top1_wrong, top5_wrong, count


def _sums(first: Tensor, second: Tensor, world: World) -> Tensor:
    """The sums of two tensors and the length of the first, over all processes: [3]."""
    top1, top5 = first.sum(), second.sum()  # of booleans int64
    sums = torch.stack([top1, top5, torch.full_like(top1, len(first))])
    (sums,) = world.sum_over_ranks(sums)
    return sums
