"""What a process of a tuning does: a trial, or a training that confirms the winner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from optuna.trial import Trial, TrialState

from alexnet.config.recipe import Recipe
from alexnet.errors import AlexNetError, DivergedError, TrainingError, causes
from alexnet.io.files import remove_file
from alexnet.io.text import error_text
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import Reporter, StepReport
from alexnet.runtime.device import is_out_of_memory
from alexnet.training.run_folder import (
    RunFolder,
    has_diverged,
    read_metrics,
    read_times,
    remove_models,
)
from alexnet.training.train_or_resume import train_or_resume
from alexnet.tune.plan import Tuning
from alexnet.tune.space import Values, recipe_with
from alexnet.tune.study import handle, open_study

LOSS, SECONDS, REASON, DIVERGED = "val_loss", "seconds", "reason", "diverged"
"""Attributes of a trial that has ended: the validation loss of its best epoch, its training time,
why it failed, and whether it diverged."""
DEATHS, MAX_DEATHS = "deaths", 2
"""Attribute of a trial: how often it was lost for lack of memory, a kill or a fault of the program,
which other trials may share; at the limit it has failed."""
BEHIND = "is_behind"
"""Attribute of a trial that is to be ended early, since the pruner gives its answer once."""
DIVERGED_ERROR = 1.0
"""The error of a trial that diverged, so that its neighborhood is avoided."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialTask:
    """A trial of a study."""

    path: Path
    """Its run folder."""
    number: int
    """In the study."""
    values: Values
    """Of the options that are tuned; none of the recipe itself."""
    study: str
    """The address of the study."""
    tuning: Tuning
    is_recipe: bool
    """Whether it is the recipe itself, which is trained to its end in any case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfirmTask:
    """A training with a new seed, which is evaluated at its end."""

    path: Path
    """Its run folder."""
    recipe: Recipe


class TrialPrunedError(BaseException):
    """Hyperband ends the trial; it is no `Exception`, since the run needs no checkpoint."""


def carry_out(task: TrialTask | ConfirmTask, reporter: Reporter) -> None:
    """Do a task, from where it is.

    How a trial ends is told to the study, also if it fails. One that is lost for lack of memory,
    perhaps to others on the same device, goes on until it is lost again.

    Raises:
        AlexNetError: a training that confirms failed, or files cannot be read or written, which is
            not the fault of a trial: it goes on.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    if isinstance(task, ConfirmTask):
        confirm(task, reporter)
        return
    study = open_study(task.study, task.tuning)
    run_trial(task, handle(study, task.number), reporter)


def run_trial(task: TrialTask, trial: Trial, reporter: Reporter) -> None:
    """Train a trial until it ends or is ended, and tell its study."""
    run = RunFolder(task.path)
    try:
        if trial.user_attrs.get(BEHIND):  # a kill came before the study knew that it ended
            raise TrialPrunedError
        recipe = recipe_with(task.tuning.recipe, task.values)
        told = TrialReporter(reporter, trial, recipe.epochs, is_recipe=task.is_recipe)
        train_or_resume(run, recipe, told, no_plot)
    except TrialPrunedError:
        end(trial, run, TrialState.PRUNED)
    except DivergedError as error:
        trial.set_user_attr(REASON, str(error))
        trial.set_user_attr(DIVERGED, True)
        end(trial, run, TrialState.COMPLETE, DIVERGED_ERROR)
    except Exception as error:
        cause = next((e for e in causes(error) if isinstance(e, OSError)), None)
        if is_out_of_memory(cause or error):
            count_death(trial, run, f"out of memory: {error_text(error)}")
        elif cause:
            what = f"{cause.filename}: {cause.strerror}" if cause.filename else error_text(cause)
            raise TrainingError(
                f"trial {task.number} was stopped by {what}; solve that and repeat the command, "
                "which continues the trial"
            ) from error
        elif isinstance(error, AlexNetError):
            trial.set_user_attr(REASON, str(error))
            end(trial, run, TrialState.FAIL)
        else:
            count_death(trial, run, f"{type(error).__name__}: {error_text(error)}")
            raise
    else:
        best = best_epoch(run)
        end(trial, run, TrialState.COMPLETE, best.eval_top1_error if best else None)
        remove_file(run.last)


def count_death(trial: Trial, run: RunFolder, reason: str) -> None:
    """Note that a trial was lost; it goes on unless that was so before."""
    deaths = trial.user_attrs.get(DEATHS, 0) + 1
    trial.set_user_attr(DEATHS, deaths)
    if deaths >= MAX_DEATHS:
        trial.set_user_attr(REASON, reason)
        end(trial, run, TrialState.FAIL)


def no_plot(draw: Callable[[], Figure], path: Path) -> None:
    """Draw nothing: `alexnet report` draws the curves of a trial that is looked at."""


def best_epoch(run: RunFolder) -> EpochRecord | None:
    """The first epoch with the lowest validation error, which a run's model is of; None before."""
    history = read_metrics(run) if run.metrics.exists() else []
    errors = {r.epoch: r.eval_top1_error for r in history if r.eval_top1_error is not None}
    return min(history, key=lambda record: errors.get(record.epoch, 1.0), default=None)


def end(trial: Trial, run: RunFolder, state: TrialState, value: float | None = None) -> None:
    """Tell the study how a trial has ended; the weights of one without a result are removed."""
    if best := best_epoch(run):
        trial.set_user_attr(LOSS, best.eval_loss)
        trial.set_user_attr(SECONDS, sum(times.elapsed_seconds for times in read_times(run)))
    trial.study.tell(trial, value, state=state, skip_if_finished=True)
    if state != TrialState.COMPLETE or trial.user_attrs.get(DIVERGED):
        remove_models(run)


def confirm(task: ConfirmTask, reporter: Reporter) -> None:
    """Train a run from where it is, evaluate it, and keep its model.

    Raises:
        AlexNetError: the recipe cannot work, or the run has diverged.
    """
    run = RunFolder(task.path)
    if not has_diverged(run):
        try:
            train_or_resume(run, task.recipe, reporter, no_plot)
        except DivergedError:
            return
        remove_file(run.last)


class TrialReporter:
    """Tells a study the lowest validation error after every epoch; another reporter gets the rest.

    Notes are in the run's log alone.
    """

    def __init__(self, reporter: Reporter, trial: Trial, epochs: int, *, is_recipe: bool) -> None:
        self._reporter, self._trial = reporter, trial
        self._epochs, self._is_recipe = epochs, is_recipe
        known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        self._reported = set(known)
        self._lowest = min(known.values(), default=1.0)

    def note(self, text: str) -> None:
        """Do nothing."""

    def on_prepare(self, done: int, total: int) -> None:
        """While the image store is built: images decoded so far."""
        self._reporter.on_prepare(done, total)

    def on_step(self, report: StepReport) -> None:
        """After every training step."""
        self._reporter.on_step(report)

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """After every epoch.

        Raises:
            TrialPrunedError: others are better after as many epochs.
        """
        self._reporter.on_epoch(record, times)
        if record.eval_top1_error is None or record.epoch in self._reported:
            return
        self._lowest = min(self._lowest, record.eval_top1_error)
        self._trial.report(self._lowest, record.epoch)
        if record.epoch >= self._epochs:
            return
        is_behind = self._trial.should_prune()  # asked of the recipe itself, too: others compare
        if is_behind and not self._is_recipe:
            self._trial.set_user_attr(BEHIND, True)
            raise TrialPrunedError
