"""What changes during a run, and the header of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from alexnet.config.recipe import Recipe
from alexnet.evaluation.metrics import rank_of_label
from alexnet.parallel.world import ALONE, World
from alexnet.records import EpochRecord, EpochTimes, LastStep
from alexnet.runtime.device import to_float64
from alexnet.training.loss_scaling import LossScaler
from alexnet.training.timer import Elapsed, EpochTimer


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
    """Of a mixed image the fraction that is of another class than the predicted one."""
    mixed_top5_wrong: float = 0.0

    @property
    def mean_loss(self) -> float:
        """Over the steps without mixed images; over all steps if every one had some."""
        return self._mean(self.loss, self.mixed_loss)

    @property
    def top1_error(self) -> float:
        """Over the steps without mixed images; over all steps if every one had some."""
        return self._mean(self.top1_wrong, self.mixed_top1_wrong)

    @property
    def top5_error(self) -> float:
        """Over the steps without mixed images; over all steps if every one had some."""
        return self._mean(self.top5_wrong, self.mixed_top5_wrong)

    def _mean(self, total: float, mixed_total: float) -> float:
        return total / self.images if self.images else mixed_total / self.mixed_images


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointInfo:
    """The header of a checkpoint."""

    fingerprint: str
    """Of the image store."""
    recipe: Recipe
    """As it was when the checkpoint was written."""
    step: int
    """Finished steps."""
    metrics: RunningMetrics
    """Of the unfinished epoch, as are the next two."""
    last_step: LastStep
    elapsed: Elapsed
    history: tuple[EpochRecord, ...]
    times: tuple[EpochTimes, ...]
    loss_scaler: LossScaler | None = None
    """Of training in fp16."""
    last_epoch: int = 0
    """As of `TrainState`."""


@dataclass
class TrainState:
    """Everything that changes during a run, except what is in `TrainingSetup`."""

    step: int = 0
    """Finished steps."""
    step_loss: float = 0.0
    """Of the newest step of this session."""
    metrics: RunningMetrics = field(default_factory=RunningMetrics)
    """Of the unfinished epoch, as are the next two."""
    last_step: LastStep = field(default_factory=LastStep)
    timer: EpochTimer = field(default_factory=EpochTimer)
    history: list[EpochRecord] = field(default_factory=list)
    times: list[EpochTimes] = field(default_factory=list)
    last_epoch: int = 0
    """The epoch, counted from 1, after which a reporter ends the run; 0: it does not."""

    @property
    def is_stopped(self) -> bool:
        """Whether a reporter has ended the run."""
        return 0 < self.last_epoch <= self.epoch

    @property
    def epoch(self) -> int:
        """The unfinished epoch, counted from 0."""
        return len(self.history)

    def end_step(
        self,
        loss: Tensor,
        logits: Tensor,
        labels: Tensor,
        mixed_targets: Tensor | None,
        world: World = ALONE,
    ) -> None:
        """Count a finished step and add its figures; arguments as of `update_metrics`."""
        self.metrics = update_metrics(self.metrics, loss, logits, labels, mixed_targets, world)
        self.step_loss = loss.item()
        self.step += 1

    def has_trained_epoch(self, steps_per_epoch: int) -> bool:
        """Whether all steps of the unfinished epoch are done, and only its evaluation is left."""
        return self.step == (self.epoch + 1) * steps_per_epoch

    def end_epoch(self, record: EpochRecord) -> EpochTimes:
        """Add the epoch to the finished ones; returns its times."""
        times = self.timer.times(record.epoch)
        self.history.append(record)
        self.times.append(times)
        self.metrics, self.last_step, self.timer = RunningMetrics(), LastStep(), EpochTimer()
        return times

    def errors(self) -> list[float]:
        """Validation error of every finished epoch; training error if there is no val split.

        Test images never decide anything.
        """
        return [
            r.train_top1_error if r.val_top1_error is None else r.val_top1_error
            for r in self.history
        ]


def update_metrics(
    metrics: RunningMetrics,
    loss: Tensor,
    logits: Tensor,
    labels: Tensor,
    mixed_targets: Tensor | None,
    world: World = ALONE,
) -> RunningMetrics:
    """The sums with one more batch.

    Args:
        metrics: the sums before.
        loss: mean over the batch.
        logits: [n, num_classes], of the images of this process, as are the next two.
        labels: int64 [n].
        mixed_targets: [n, num_classes] if the images were mixed.
        world: the processes that the batch is spread over.
    """
    if mixed_targets is not None:
        best = logits.topk(min(5, logits.shape[1])).indices
        found = to_float64(mixed_targets.gather(1, best))
        top1_found, top5_found, count = _sums(found[:, 0], found, world)
        return replace(
            metrics,
            mixed_loss=metrics.mixed_loss + loss.item() * count,
            mixed_top1_wrong=metrics.mixed_top1_wrong + count - top1_found,
            mixed_top5_wrong=metrics.mixed_top5_wrong + count - top5_found,
            mixed_images=metrics.mixed_images + count,
        )
    top1_wrong, top5_wrong, count = count_wrong(logits, labels, world)
    return replace(
        metrics,
        loss=metrics.loss + loss.item() * count,
        top1_wrong=metrics.top1_wrong + top1_wrong,
        top5_wrong=metrics.top5_wrong + top5_wrong,
        images=metrics.images + count,
    )


def count_wrong(logits: Tensor, labels: Tensor, world: World = ALONE) -> tuple[int, int, int]:
    """Images of a batch whose label is not among the 1 and the 5 highest logits; all its images.

    Args:
        logits: [n, num_classes], of the images of this process.
        labels: int64 [n].
        world: the processes that the batch is spread over.
    """
    rank = rank_of_label(logits, labels)
    top1_wrong, top5_wrong, count = _sums(rank >= 1, rank >= 5, world)
    return int(top1_wrong), int(top5_wrong), count


def _sums(first: Tensor, second: Tensor, world: World) -> tuple[float, float, int]:
    """The sums of two tensors over all processes, and the length of the first."""
    top1, top5 = first.sum(), second.sum()  # of booleans int64
    sums = torch.stack([top1, top5, torch.full_like(top1, len(first))])
    (sums,) = world.sum_over_ranks(sums)
    one, other, count = sums.tolist()
    return one, other, int(count)
