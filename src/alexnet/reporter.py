"""What the library reports while it works. The library itself never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from alexnet.records import EpochRecord, EpochTimes

ProgressCallback: TypeAlias = Callable[[int, int], None]
"""Called with (images done, images in all)."""


def ignore_progress(done: int, total: int) -> None:
    """A `ProgressCallback` that does nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One finished step."""

    step: int
    """Counted from 1."""
    total_steps: int
    epoch: int
    """Counted from 1."""
    loss: float
    """Mean over the epoch so far."""
    top1_error: float
    """Mean over the epoch so far."""
    num_images: int
    """In this step."""


class Reporter(Protocol):
    """Called while the library works."""

    def note(self, text: str) -> None:
        """A sentence for the user, such as a warning."""

    def on_prepare(self, done: int, total: int) -> None:
        """While the image store is built: images decoded so far."""

    def on_step(self, report: StepReport) -> None:
        """After every training step."""

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """After every epoch."""


def epoch_text(record: EpochRecord, times: EpochTimes) -> str:
    """The line that tells of a finished epoch."""
    eval_error = (
        f"  {record.eval_split} error {record.eval_top1_error:6.1%}" if record.eval_split else ""
    )
    return (
        f"epoch {record.epoch:>3}  loss {record.train_loss:.3f}  "
        f"error {record.train_top1_error:6.1%}{eval_error}  lr {record.lr:.2g}  "
        f"{times.images_per_second:.0f} images/s  data wait {times.data_wait_fraction:.1%}"
    )


class NullReporter:
    """A reporter that does nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def on_prepare(self, done: int, total: int) -> None:
        """Do nothing."""

    def on_step(self, report: StepReport) -> None:
        """Do nothing."""

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Do nothing."""
