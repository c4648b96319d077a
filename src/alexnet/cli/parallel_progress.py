"""The progress of several runs at once, on stderr: a bar for each, or lines where there is none."""

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
"""Between two lines of a run, where there is no terminal."""


class ParallelProgress:
    """Gives every run a reporter of its own; a context, at whose end all bars are removed."""

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
        """The reporter of a run, of which "run 3 of 40: dropout, .." is said."""
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
    """Where a run is, and how well it does."""
    return (
        f"epoch {report.epoch} of {report.total_epochs}  loss {report.loss:.3f}  "
        f"error {report.top1_error:.1%}"
    )


class QuietReporter:
    """What both kinds have in common: notes and epochs are in the run's log alone."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def on_prepare(self, done: int, total: int) -> None:
        """Do nothing."""

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Do nothing."""


class RunBar(QuietReporter):
    """Moves the bar of a run."""

    def __init__(self, bars: Progress, bar: TaskID) -> None:
        self._bars, self._bar = bars, bar

    def on_step(self, report: StepReport) -> None:
        """After a training step."""
        text, total = step_text(report), report.total_steps
        self._bars.update(self._bar, completed=report.step, total=total, text=text)


class RunLines(QuietReporter):
    """Prints a line about a run now and then."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last_line_at = time.monotonic()

    def on_step(self, report: StepReport) -> None:
        """After a training step."""
        if time.monotonic() - self._last_line_at > SECONDS_PER_LINE:
            self._last_line_at = time.monotonic()
            note(f"{self._name}: {step_text(report)}")
