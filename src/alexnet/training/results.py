"""The results of a finished run: `result.json` and plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from alexnet import plots
from alexnet.checkpoints.model_file import Scores
from alexnet.config.serialization import from_dict, json_rows, parse_json, to_dict
from alexnet.data.store.store import Rejected
from alexnet.data.summary import DataSummary, summarize
from alexnet.evaluation.advice import temperature_advice
from alexnet.evaluation.intervals import ConfidenceInterval, error_text, wilson_interval
from alexnet.evaluation.results import Evaluation
from alexnet.evaluation.summary import EvaluationSummary, summarize_evaluation
from alexnet.io.files import read_regular, write_text
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.parallel.world import on_main
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import Reporter
from alexnet.training.advice import (
    chance_advice,
    is_at_chance,
    overfitting_advice,
    running_stats_advice,
)
from alexnet.training.data import data_advice, duplicates_in
from alexnet.training.epoch import reason_for_fewer_epochs, training_class_counts
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import TrainingSetup
from alexnet.training.state import TrainState


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationResult:
    """The error of the epoch with the lowest validation error, which the run's model is of.

    It is the lowest of several, and so a little lower than on other images.
    """

    epoch: int
    """Counted from 1."""
    num_images: int
    top1_error: float
    """Top-1 error on the validation images, 0 to 1."""
    temperature: float
    """The temperature that was fitted on the validation images."""

    @property
    def top1_text(self) -> str:
        """The error with its number of images: "12.50 % (n = 1,360)"."""
        return error_text(self.top1_error, self.num_images)

    @property
    def top1_interval(self) -> ConfidenceInterval:
        """The 95 % confidence interval of the error."""
        return wilson_interval(round(self.top1_error * self.num_images), self.num_images)


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationSummary:
    """The lowest validation error of a run, with its 95 % confidence interval."""

    epoch: int
    """Epoch of the lowest error, counted from 1; the run's model is of this epoch."""
    num_images: int
    top1_error: float
    """Top-1 error on the validation images, 0 to 1."""
    top1_error_interval: ConfidenceInterval
    temperature: float | None = None
    """The model's temperature, fitted on the validation images; null in results of earlier
    versions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """The contents of `result.json`."""

    epochs: int
    """Number of finished epochs."""
    ended_early: str = ""
    """Why fewer epochs were trained than were planned, such as a reporter's `StopTraining`; "" if
    not."""
    training_seconds: float
    """Seconds of all epochs, with their evaluations."""
    data_wait_fraction: float
    """Fraction of the training time spent waiting for data, 0 to 1."""
    data: DataSummary
    rejected: tuple[Rejected, ...]
    """Images that could not be used."""
    validation: ValidationSummary | None
    """The lowest validation error; None without validation images."""
    test: EvaluationSummary | None
    """The evaluation on the test images; None without them."""
    advice: tuple[str, ...]
    """What is uncertain about the result, and what to try next: sentences."""


SavePage: TypeAlias = Callable[[Path, RunResult, Reporter], object]
"""Writes the page of a run, given its folder, its result, and the reporter that receives notes."""


def validation_result(setup: TrainingSetup, scores: Scores) -> ValidationResult | None:
    """The validation result that belongs to the model's scores; None without a validation split."""
    if scores.val_top1_error is None:
        return None
    return ValidationResult(
        epoch=scores.epoch,
        num_images=len(setup.splits.val),
        top1_error=scores.val_top1_error,
        temperature=setup.info.temperature,
    )


def run_advice(setup: TrainingSetup, history: Sequence[EpochRecord]) -> tuple[str, ...]:
    """Sentences on what is uncertain about a finished run, and what to try next."""
    recipe, counts = setup.recipe, training_class_counts(setup)
    num_evaluated = len(setup.splits.val if setup.eval_split == "val" else setup.splits.test)
    lines = [
        *data_advice(recipe, setup.store, setup.splits),
        *duplicates_in(recipe, setup.store, setup.splits),
    ]
    if is_at_chance(history, counts, recipe.augment.mixed_fraction):
        lines.append(chance_advice(history, setup.info.class_names, counts, recipe))
    lines.append(overfitting_advice(history, num_evaluated, recipe))
    if recipe.is_from_scratch:
        lines.append(running_stats_advice(setup.info.architecture, history))
    lines.append(temperature_advice(setup.info.num_temperature_images))
    return tuple(line for line in lines if line)


def plot_and_summarize(
    setup: TrainingSetup,
    state: TrainState,
    validation: ValidationResult | None,
    evaluation: Evaluation | None,
    folder: RunFolder,
    save_plot: plots.SavePlot,
    reporter: Reporter,
) -> RunResult:
    """Plot learning curves, confusion matrix and first-layer filters, and give the result."""
    history, times = state.history, state.times
    if setup.world.is_main:
        from alexnet.training.run_plots import save_run_plots  # matplotlib takes half a second

        for note in save_run_plots(setup, history, evaluation, folder, save_plot):
            reporter.note(note)
    info = setup.store.info
    folder.write_epochs(history, times)
    return RunResult(
        epochs=len(history),
        ended_early=reason_for_fewer_epochs(setup.recipe, history),
        training_seconds=sum(t.elapsed_seconds for t in times),
        data_wait_fraction=_data_wait_fraction(times),
        data=summarize(info.class_names, setup.store.labels, setup.splits.by_name),
        rejected=info.rejected,
        validation=summarize_validation(validation) if validation else None,
        test=summarize_evaluation(evaluation) if evaluation else None,
        advice=run_advice(setup, history),
    )


@on_main
def write_result(result: RunResult, folder: RunFolder) -> None:
    """Write `result.json`, the last file: a run that has it is finished and whole."""
    write_text(folder.result, json_rows(to_dict(result)) + "\n")


def read_result(folder: RunFolder) -> RunResult:
    """The contents of a finished run's `result.json`.

    Raises:
        ConfigError: it is damaged or of another version.
    """
    plain = parse_json(read_regular(folder.result, MAX_RESULT_BYTES))
    return from_dict(RunResult, plain, str(folder.result))


def summarize_validation(validation: ValidationResult) -> ValidationSummary:
    """The summary of a validation result, with its interval."""
    return ValidationSummary(
        epoch=validation.epoch,
        num_images=validation.num_images,
        top1_error=validation.top1_error,
        top1_error_interval=validation.top1_interval,
        temperature=validation.temperature,
    )


def _data_wait_fraction(times: Sequence[EpochTimes]) -> float:
    """Fraction of all training time spent waiting for data, 0 to 1."""
    weights = [1 / t.images_per_second for t in times]
    return sum(w * t.data_wait_fraction for w, t in zip(weights, times, strict=True)) / sum(weights)
