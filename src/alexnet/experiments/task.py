"""One training of an experiment with its evaluation: all that it needs, and how it is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError, UsageError
from alexnet.experiments.experiment import Measure
from alexnet.experiments.measure import measure_diverged, measure_run
from alexnet.experiments.outcome import Outcome, write_outcome
from alexnet.inference.predictor import Crops
from alexnet.io.files import remove_folder
from alexnet.reporter import NullReporter, Reporter
from alexnet.training.initial_weights import resolve_paths
from alexnet.training.run_folder import (
    RunFolder,
    has_diverged,
    has_ended,
    read_recipe,
    remove_models,
)
from alexnet.training.train_or_resume import train_or_resume


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A training that an experiment needs, and what is measured on it."""

    path: Path
    """The folder of the run."""
    recipe: Recipe
    description: str
    """Arm, learning rate and seed, for the user."""
    measure: Measure
    crops: tuple[Crops, ...] = ()
    """The network is evaluated once with each number of crops; a tuning run is not evaluated."""
    keep_models: bool = False
    """Whether the network is kept on disk."""

    @property
    def run(self) -> RunFolder:
        """The run folder."""
        return RunFolder(self.path)

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended and every outcome is there."""
        outcomes = (outcome_path(self.run, crops) for crops in self.crops)
        return has_ended(self.run) and all(path.exists() for path in outcomes)


def carry_out(task: Task, reporter: Reporter) -> None:
    """Train or resume the run, evaluate it, and remove its networks unless they are kept.

    Raises:
        AlexNetError: the data or the initial weights cannot be used.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    run = task.run
    if must_train_again(task):
        remove_folder(run.path)
    if not has_ended(run):
        try:
            train_or_resume(run, task.recipe, reporter)
        except DivergedError as error:  # which is an outcome
            reporter.note(str(error))
    for crops in task.crops:
        if not outcome_path(run, crops).exists():
            write_outcome(outcome_path(run, crops), outcome_of(task, crops))
    if not task.keep_models:
        remove_models(run)


def must_train_again(task: Task) -> bool:
    """Whether the run has ended and can no longer be evaluated, since its model was removed."""
    needs_model = task.measure in ("test_error", "train_error")
    is_evaluable = task.run.model.exists() or has_diverged(task.run)
    return needs_model and has_ended(task.run) and not task.is_finished and not is_evaluable


def outcome_of(task: Task, crops: Crops) -> Outcome:
    """The outcome of a run that has ended."""
    if has_diverged(task.run):
        return measure_diverged(read_recipe(task.run.config), task.measure)
    return measure_run(task.run, task.measure, crops, NullReporter())


def check_same_recipe(task: Task) -> None:
    """Check that the run folder is new or of the task's recipe.

    Raises:
        UsageError: its recipe is another one.
    """
    config = task.run.config
    if config.exists() and read_recipe(config) != resolve_paths(task.recipe):
        raise UsageError(
            f"{task.path} was trained with another recipe than the experiment's current one; "
            "remove it to train it again, or choose another --out"
        )


def outcome_path(run: RunFolder, crops: Crops) -> Path:
    """Where an outcome of a run is kept."""
    return run.path / f"outcome-{crops}.json"
