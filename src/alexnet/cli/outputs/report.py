"""What `report --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.evaluation.intervals import ConfidenceInterval

if TYPE_CHECKING:
    from alexnet.reports.stored_run import StoredRun


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedRun:
    """The headline and key figures of a run on the page."""

    run: str
    """The folder."""
    state: str
    """finished, running, unfinished, diverged or damaged."""
    data: str
    arch: str
    epochs: int
    """Number of finished epochs."""
    training_seconds: float
    """Seconds that these epochs took."""
    error_of: str
    """What top1_error is, in words, such as "test error"."""
    top1_error: float | None
    """The error, 0 to 1; null before the first epoch has finished."""
    top1_error_interval: ConfidenceInterval | None
    """The 95 % interval of the error; null if the number of images is not known."""
    num_images: int | None
    """Number of images on which the error is measured; null if it is not known."""
    loss: float | None
    """The loss on the same images; null if the run has not finished."""
    problems: tuple[str, ...]
    """Files of the run that cannot be read, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportOutput:
    """The page of a run, or of several that are compared."""

    page: str
    """The HTML file."""
    size_bytes: int
    runs: tuple[ReportedRun, ...]
    """The run, or the compared runs in their order."""


def report_output(page: str, size_bytes: int, runs: Sequence[StoredRun]) -> ReportOutput:
    """Make the output of a page."""
    return ReportOutput(page=page, size_bytes=size_bytes, runs=tuple(map(_reported, runs)))


def _reported(run: StoredRun) -> ReportedRun:
    from alexnet.reports.compared_runs import compared_run

    found = compared_run(run.name, run)
    return ReportedRun(
        run=str(run.path),
        state=run.summary.state,
        data=found.data,
        arch=found.arch,
        epochs=found.epochs,
        training_seconds=60 * found.minutes,
        error_of=found.headline.what,
        top1_error=found.headline.error,
        top1_error_interval=found.headline.interval,
        num_images=found.headline.num_images,
        loss=found.loss,
        problems=tuple(f"{what}: {why}" for what, why in run.problems.items()),
    )
