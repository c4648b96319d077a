"""A `Reporter` that hands the records of a run to its loggers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from alexnet.loggers.catalogue import LOGGERS, LOGS, begun_logs, open_logger
from alexnet.loggers.log_thread import LogThread
from alexnet.loggers.logger import LogResult, LogStart, Row, epoch_row, step_row
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import Reporter, StepReport


class RunLoggers:
    """A reporter that also gives steps, epochs and the result to loggers.

    It passes all calls on to another reporter. As a context manager it closes the loggers at its
    end. A logger that fails is reported once, by a note.
    """

    def __init__(
        self, names: Sequence[str], run: Path, start: LogStart, reporter: Reporter
    ) -> None:
        self._reporter, self._run = reporter, run
        self._threads = [LogThread(n, partial(open_logger, n, run, start)) for n in names]

    def __enter__(self) -> RunLoggers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(is_finished=False)

    def note(self, text: str) -> None:
        """Pass a note on."""
        self._reporter.note(text)

    def on_prepare(self, done: int, total: int) -> None:
        """Pass the progress of preparing on."""
        self._reporter.on_prepare(done, total)

    def on_step(self, report: StepReport) -> None:
        """Log a step, and pass it on."""
        if self._threads:  # first, since the reporter may end the run
            self._put(step_row(report))
        self._reporter.on_step(report)

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Log an epoch, and pass it on."""
        if self._threads:
            self._put(epoch_row(record, times))
        self._reporter.on_epoch(record, times)

    def on_result(self, result: LogResult) -> None:
        """Log the result, and close the loggers: the run has finished."""
        self._put(result)
        self._close(is_finished=True)

    def _close(self, *, is_finished: bool) -> None:
        for thread in self._threads:
            thread.close(is_finished)
        self._tell()
        self._threads = []

    def _put(self, item: Row | LogResult) -> None:
        for thread in self._threads:
            thread.put(item)
        self._threads = self._tell()

    def _tell(self) -> list[LogThread]:
        """Report loggers that have failed, and return the others."""
        for thread in self._threads:
            if thread.failure:
                self._reporter.note(
                    f"the log for {thread.name} in {self._run / LOGS / thread.name} is not whole: "
                    f"{thread.failure}; the training goes on, and its own files are not concerned"
                )
        return [thread for thread in self._threads if not thread.failure]


def logs_to_write(given: Sequence[str], run: Path, reporter: Reporter) -> list[str]:
    """The names of the loggers in `given`, and of those of the run's earlier sessions.

    A logger of an earlier session whose package is not installed is left out, with a note.
    """
    names = list(given)
    for name in begun_logs(run):
        missing = [p for p in LOGGERS[name].packages if find_spec(p) is None]
        if missing and name not in given:
            reporter.note(
                f"the log for {name} is not continued, because {missing[0]} is not installed; "
                f'pip install "alexnet[{name}]"'
            )
        elif name not in names:
            names.append(name)
    return names
