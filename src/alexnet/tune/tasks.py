"""The tasks of a tuning's processes: a trial, or a training that confirms the winner."""

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
"""Attribute of a trial: how often it was lost to lack of memory, a kill or a bug, which may not be
the trial's fault; at MAX_DEATHS it has failed."""
BEHIND = "is_behind"
"""Attribute of a trial that the pruner wants to end, stored since the pruner answers only once."""
DIVERGED_ERROR = 1.0
"""The error reported for a trial that diverged, so that the sampler avoids its neighborhood."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialTask:
    """A trial of a study."""

    path: Path
    """The run folder of the trial."""
    number: int
    """The trial's number in the study."""
    values: Values
    """The values of the tuned options; empty for the recipe itself."""
    study: str
    """The address of the study."""
    tuning: Tuning
    is_recipe: bool
    """Whether the trial is the recipe itself, which is never pruned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfirmTask:
    """A training with a new seed, which is evaluated at its end."""

    path: Path
    """The run folder of the training."""
    recipe: Recipe


class TrialPrunedError(BaseException):
    """Raised if Hyperband ends a trial; no `Exception`, so that the run saves no checkpoint."""


def carry_out(task: TrialTask | ConfirmTask, reporter: Reporter) -> None:
    """Run or resume a task.

    The study is told how a trial ends, also if it fails. A trial that runs out of memory, perhaps
    because of other programs on the device, may be tried once more.

    Raises:
        AlexNetError: a confirming training failed; or files cannot be read or written, in which
            case a trial stays unfinished.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    if isinstance(task, ConfirmTask):
        confirm(task, reporter)
        return
    study = open_study(task.study, task.tuning)
    run_trial(task, handle(study, task.number), reporter)


def run_trial(task: TrialTask, trial: Trial, reporter: Reporter) -> None:
    """Train a trial until it finishes, is pruned or fails, and tell its study."""
    run = RunFolder(task.path)
    try:
        if trial.user_attrs.get(BEHIND):  # a kill came before the study knew that it ended
            raise TrialPrunedError
        recipe = recipe_with(task.tuning.recipe, task.values)
        trial_reporter = TrialReporter(reporter, trial, recipe.epochs, is_recipe=task.is_recipe)
        train_or_resume(run, recipe, trial_reporter, no_plot)
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
    """Count the loss of a trial; at MAX_DEATHS it fails, else it can be continued."""
    deaths = trial.user_attrs.get(DEATHS, 0) + 1
    trial.set_user_attr(DEATHS, deaths)
    if deaths >= MAX_DEATHS:
        trial.set_user_attr(REASON, reason)
        end(trial, run, TrialState.FAIL)


def no_plot(draw: Callable[[], Figure], path: Path) -> None:
    """Draw nothing: `alexnet report` draws the curves of a trial that is looked at."""


def best_epoch(run: RunFolder) -> EpochRecord | None:
    """The first epoch with the lowest validation error, whose weights are the model; or None."""
    history = read_metrics(run) if run.metrics.exists() else []
    errors = {r.epoch: r.eval_top1_error for r in history if r.eval_top1_error is not None}
    return min(history, key=lambda record: errors.get(record.epoch, 1.0), default=None)


def end(trial: Trial, run: RunFolder, state: TrialState, value: float | None = None) -> None:
    """Tell the study how a trial has ended; remove the weights of a trial without a result."""
    if best := best_epoch(run):
        trial.set_user_attr(LOSS, best.eval_loss)
        trial.set_user_attr(SECONDS, sum(times.elapsed_seconds for times in read_times(run)))
    trial.study.tell(trial, value, state=state, skip_if_finished=True)
    if state != TrialState.COMPLETE or trial.user_attrs.get(DIVERGED):
        remove_models(run)


def confirm(task: ConfirmTask, reporter: Reporter) -> None:
    """Train or resume a run that confirms; it is evaluated at its end, and its model is kept.

    A run that diverges ends without an error.

    Raises:
        AlexNetError: the recipe cannot work.
    """
    run = RunFolder(task.path)
    if not has_diverged(run):
        try:
            train_or_resume(run, task.recipe, reporter, no_plot)
        except DivergedError:
            return
        remove_file(run.last)


class TrialReporter:
    """A reporter that tells a study the lowest validation error after every epoch.

    It passes progress on to another reporter. Notes go to the run's log alone.
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
        """After every epoch: report the lowest validation error so far.

        Raises:
            TrialPrunedError: other trials are better after as many epochs.
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
