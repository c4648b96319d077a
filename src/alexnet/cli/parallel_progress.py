"""Show the progress of several runs at once on stderr: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from alexnet.cli.console import note
from alexnet.io.text import printable
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import Reporter, StepReport

SECONDS_PER_LINE = 60.0
"""Seconds between two lines of a run, where there is no terminal."""


class ParallelProgress:
    """A context manager that gives every run its own reporter and removes all bars at its end."""

    def __init__(self, console: Console | None = None) -> None:
        """Show progress on `console`, or stderr."""
        console = console or Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[text]}"),
        )
        is_shown = console.is_terminal
        self.bars = Progress(*columns, console=console, transient=True) if is_shown else None

    def __enter__(self) -> Self:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bars:
            self.bars.stop()

    @contextmanager
    def run(self, description: str) -> Iterator[Reporter]:
        """A context that gives the reporter of a run, described as "run 3 of 40: dropout, .."."""
        number, _, what = description.partition(": ")
        if self.bars is None:
            note(description)
            yield RunLines(number.partition(" of ")[0])
            return
        bar = self.bars.add_task(printable(what), total=None, text="")
        try:
            yield RunBar(self.bars, bar)
        finally:
            self.bars.remove_task(bar)


def step_text(report: StepReport) -> str:
    """A text on the epoch, the loss and the error of a run."""
    return (
        f"epoch {report.epoch} of {report.total_epochs}  loss {report.loss:.3f}  "
        f"error {report.top1_error:.1%}"
    )


class QuietReporter:
    """The base class of both reporters: notes and epochs go to the run's log alone."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def on_prepare(self, done: int, total: int) -> None:
        """Do nothing."""

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Do nothing."""


class RunBar(QuietReporter):
    """A reporter that moves the bar of a run."""

    def __init__(self, bars: Progress, bar: TaskID) -> None:
        self._bars, self._bar = bars, bar

    def on_step(self, report: StepReport) -> None:
        """After a training step."""
        text, total = step_text(report), report.total_steps
        self._bars.update(self._bar, completed=report.step, total=total, text=text)


class RunLines(QuietReporter):
    """A reporter that prints a line about a run every SECONDS_PER_LINE."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last_line_at = time.monotonic()

    def on_step(self, report: StepReport) -> None:
        """After a training step."""
        if time.monotonic() - self._last_line_at > SECONDS_PER_LINE:
            self._last_line_at = time.monotonic()
            note(f"{self._name}: {step_text(report)}")
