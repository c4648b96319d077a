"""What changes during a run, and what of it a saved state tells in its header."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from torch import Tensor

from alexnet.config.recipe import Recipe
from alexnet.evaluation.metrics import rank_of_label
from alexnet.records import EpochRecord, EpochTimes, LastStep
from alexnet.training.timer import Elapsed, EpochTimer


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningMetrics:
    """What has been added up since the epoch began.

    Steps that mix pictures are counted apart: their loss and error say nothing about learning.
    """

    loss: float = 0.0
    top1_wrong: int = 0
    top5_wrong: int = 0
    images: int = 0
    mixed_loss: float = 0.0
    mixed_images: int = 0

    @property
    def mean_loss(self) -> float:
        """Of the steps that did not mix; of the mixed ones where all did."""
        return self.loss / self.images if self.images else self.mixed_loss / self.mixed_images

    @property
    def top1_error(self) -> float:
        """Of the steps that did not mix; 1 where all did."""
        return self.top1_wrong / self.images if self.images else 1.0

    @property
    def top5_error(self) -> float:
        """Of the steps that did not mix; 1 where all did."""
        return self.top5_wrong / self.images if self.images else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointInfo:
    """The header of a saved state."""

    fingerprint: str
    """Of the pictures."""
    recipe: Recipe
    """What the run was doing when it was saved."""
    step: int
    """Steps done."""
    sums: RunningMetrics
    """Of the running epoch, as are the next two."""
    last_step: LastStep
    spent: Elapsed
    history: tuple[EpochRecord, ...]
    times: tuple[EpochTimes, ...]


@dataclass
class TrainState:
    """All that changes during a run, beside the network and the optimizer."""

    step: int = 0
    """Steps done."""
    sums: RunningMetrics = field(default_factory=RunningMetrics)
    """Of the running epoch, as are the next two."""
    last_step: LastStep = field(default_factory=LastStep)
    clock: EpochTimer = field(default_factory=EpochTimer)
    history: list[EpochRecord] = field(default_factory=list)
    times: list[EpochTimes] = field(default_factory=list)

    def has_trained_epoch(self, steps_per_epoch: int) -> bool:
        """Whether all steps of the running epoch are done, and it is still to be evaluated."""
        return self.step == (len(self.history) + 1) * steps_per_epoch

    def end_epoch(self, record: EpochRecord) -> EpochTimes:
        """Put the running epoch to the finished ones; gives its times."""
        times = self.clock.times(record.epoch)
        self.history.append(record)
        self.times.append(times)
        self.sums, self.last_step, self.clock = RunningMetrics(), LastStep(), EpochTimer()
        return times

    def errors(self) -> list[float]:
        """Validation error of every finished epoch; the training error where there is no val split.

        Test pictures are watched, and never asked when something is chosen.
        """
        return [
            r.eval_top1_error if r.eval_split == "val" else r.train_top1_error for r in self.history
        ]


def added(
    sums: RunningMetrics, loss: Tensor, logits: Tensor, labels: Tensor, is_mixed: bool
) -> RunningMetrics:
    """The sums with one more batch."""
    count = len(labels)
    total = loss.item() * count
    if is_mixed:
        mixed_loss, mixed_images = sums.mixed_loss + total, sums.mixed_images + count
        return replace(sums, mixed_loss=mixed_loss, mixed_images=mixed_images)
    rank = rank_of_label(logits, labels)
    return replace(
        sums,
        loss=sums.loss + total,
        top1_wrong=sums.top1_wrong + int((rank >= 1).sum()),
        top5_wrong=sums.top5_wrong + int((rank >= 5).sum()),
        images=sums.images + count,
    )
