"""What the library tells while it works, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from alexnet.records import EpochRecord, EpochTimes


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One finished step."""

    step: int
    """Counted from 1."""
    total_steps: int
    epoch: int
    """Counted from 1."""
    loss: float
    """Mean since the epoch began."""
    top1_error: float
    """Mean since the epoch began."""
    images: int
    """In this step."""


class Reporter(Protocol):
    """Told what happens, as it happens. The library itself never prints."""

    def note(self, text: str) -> None:
        """A sentence for the user."""

    def preparing(self, done: int, total: int) -> None:
        """Pictures decoded so far."""

    def step(self, report: StepReport) -> None:
        """After every step."""

    def epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """After every epoch."""


class NullReporter:
    """A reporter that tells nobody."""

    def note(self, text: str) -> None:
        """Nothing."""

    def preparing(self, done: int, total: int) -> None:
        """Nothing."""

    def step(self, report: StepReport) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Nothing."""
