"""`run.log`: what a run has told its user, with the time, over all its sessions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alexnet.errors import AlexNetError
from alexnet.io.files import append_text
from alexnet.io.text import error_text, printable
from alexnet.parallel.world import current_world, on_main
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import (
    ForwardsDataProgress,
    NullReporter,
    Reporter,
    StepReport,
    epoch_text,
    progress_callback,
)
from alexnet.runtime.signals import TrainingInterrupted


class LoggingReporter(ForwardsDataProgress):
    """Forwards everything to a reporter, and writes notes and epochs to a run's `run.log`.

    In a world of several processes only that of rank 0 does. What comes before `open` waits for it.
    A log that cannot be written does not stop a run.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter if current_world().is_main else NullReporter()
        self._path: Path | None = None
        self._waiting = ""
        self._total_epochs = 0

    def open(self, path: Path) -> None:
        """Append everything to this file from now on, beginning with what came before."""
        self._path = path
        self._append("")

    @contextmanager
    def keeping_the_end(self, result: Path) -> Iterator[None]:
        """A context that also logs the run's end: an error, or "finished" if `result` exists."""
        try:
            yield
        except (AlexNetError, TrainingInterrupted) as error:
            self.keep(str(error))
            raise
        except Exception as error:
            self.keep(f"{type(error).__name__}: {error_text(error)}")
            raise
        if result.exists():
            self.keep("finished")

    def note(self, text: str) -> None:
        """Show and log a sentence for the user, such as a warning."""
        self._reporter.note(text)
        self.keep(text)

    def on_prepare(self, done: int, total: int) -> None:
        """Called while the image store is built, with the number of images decoded so far."""
        self._reporter.on_prepare(done, total)

    def on_start(self, done: int, total: int) -> None:
        """Called before a session's first step, with the numbers of finished and of all epochs."""
        progress_callback(self._reporter, "on_start")(done, total)
        self._total_epochs = total

    def on_step(self, report: StepReport) -> None:
        """Called after every training step."""
        self._reporter.on_step(report)

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Called after every epoch, which is logged."""
        self.keep(epoch_text(record, times, self._total_epochs))  # the reporter may end the run
        self._reporter.on_epoch(record, times)

    def keep(self, text: str) -> None:
        """Append a line with the time to the log."""
        self._append(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {printable(text)}\n")

    @on_main
    def _append(self, lines: str) -> None:
        self._waiting += lines
        if self._path and self._waiting:
            with suppress(OSError):
                append_text(self._path, self._waiting)
            self._waiting = ""
