"""What `train --json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alexnet.data.store.store import Rejected
from alexnet.data.summary import DataSummary
from alexnet.evaluation.summary import EvaluationSummary
from alexnet.training.overfit import OverfitStep
from alexnet.training.results import ValidationSummary, read_result, summarize_validation
from alexnet.training.trainer import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOutput:
    """A run that has finished, or that --max-minutes has stopped. Errors are 0 to 1."""

    run: str
    """The run folder."""
    model: str
    """The model file."""
    plots: str
    """The folder of the plots."""
    report: str | None
    """The run as one page of HTML; null if it could not be written."""
    is_finished: bool
    """False if --max-minutes has stopped it."""
    resume_command: str | None
    """The command that resumes it; null if it has finished."""
    epochs: int
    """Number of finished epochs."""
    best_epoch: int | None
    """The epoch that the model is of: the best one by validation error, without validation images
    the last one; null before the first has finished."""
    ended_early: str
    """Why a finished run has fewer epochs than were planned; empty if it has all of them."""
    training_seconds: float
    """Seconds that all epochs took, including their evaluations."""
    data_wait_fraction: float | None
    """Fraction of the training time spent waiting for data, 0 to 1; null if it has not finished."""
    data: DataSummary | None
    """Facts about the data; null if the run has not finished."""
    rejected: tuple[Rejected, ...]
    """Images that could not be used; empty if it has not finished."""
    validation: ValidationSummary | None
    """Metrics on the validation images; null without validation images."""
    test: EvaluationSummary | None
    """Metrics on the test images; null without test images or if the run has not finished."""
    advice: tuple[str, ...]
    """Sentences on what is uncertain about the result, and on what to try next."""


def train_output(run: Run, report: Path | None) -> TrainOutput:
    """Make the output of a run; `report` is the path of its page."""
    folder, validation = run.folder, run.validation
    result = read_result(folder) if run.is_finished else None
    return TrainOutput(
        run=str(folder.path),
        model=str(folder.model),
        plots=str(folder.plots),
        report=str(report) if report else None,
        is_finished=run.is_finished,
        resume_command=None if run.is_finished else folder.resume_command,
        epochs=len(run.history),
        best_epoch=validation.epoch if validation else len(run.history) or None,
        ended_early=result.ended_early if result else "",
        training_seconds=sum(t.elapsed_seconds for t in run.times),
        data_wait_fraction=result.data_wait_fraction if result else None,
        data=result.data if result else None,
        rejected=result.rejected if result else (),
        validation=summarize_validation(validation) if validation else None,
        test=result.test if result else None,
        advice=run.advice,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class FindLROutput:
    """A learning-rate range test."""

    lrs: tuple[float, ...]
    """The learning rate of each step, rising by a constant factor."""
    losses: tuple[float, ...]
    """The smoothed loss of each step."""
    suggestion: float | None
    """The suggested learning rate; null where the loss does not fall."""
    plot: str
    """The file of the plot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OverfitOutput:
    """The result of overfitting one batch."""

    is_learned: bool
    """Whether all its images are classified right at the last step; if not, the exit code is 1."""
    steps: tuple[OverfitStep, ...]
