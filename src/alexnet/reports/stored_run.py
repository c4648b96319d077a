"""Read what can be read of a run folder, and keep the reasons why the rest cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from alexnet.checkpoints.file_header import read_architecture, read_header
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, parse_json
from alexnet.errors import AlexNetError, UsageError
from alexnet.evaluation.summary import EvaluationSummary
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.io.run_paths import is_run
from alexnet.io.text import error_text, shell_command
from alexnet.models.architecture import Architecture
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reports.predictions import ImagePrediction, read_predictions
from alexnet.training.build import build_architecture
from alexnet.training.results import RunResult
from alexnet.training.run_folder import RunFolder, read_recipe
from alexnet.training.run_index import RunSummary, summarize_run

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """The contents of a run folder; None or empty where a file is missing or damaged."""

    path: Path
    summary: RunSummary
    recipe: Recipe | None
    environment: Mapping[str, Any]
    history: tuple[EpochRecord, ...]
    times: tuple[EpochTimes, ...]
    result: RunResult | None
    """The result; None if the run has not finished."""
    evaluation: EvaluationSummary | None
    """The evaluation on the test split, else on the validation split."""
    predictions: tuple[ImagePrediction, ...]
    """The predictions of the images of `evaluation`, highest loss first."""
    architecture: Architecture | None
    """The model's architecture; without one the recipe's, with the published number of classes."""
    manifest_hash: str
    """Hash of the data set that the model was trained on; "" if it is not known."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """The reasons why parts are missing, by the name of the part."""

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.summary.name

    @property
    def evaluate_command(self) -> str:
        """The command that writes the predictions of every evaluated image."""
        return shell_command(["alexnet", "evaluate", str(self.path)])


def read_run(path: Path, result: RunResult | None = None) -> StoredRun:
    """Read everything in a run folder that can be read.

    Args:
        path: the run folder.
        result: the result of a run whose `result.json` is not written yet.

    Raises:
        UsageError: it is not the folder of a training.
    """
    if not is_run(path):
        what = "a folder without a run" if path.is_dir() else "not a folder"
        raise UsageError(f"{path} is {what}; name a run folder, such as those in alexnet runs")
    summary = summarize_run(path)
    if summary.kind != "training":
        raise UsageError(
            f"{path} is a pretraining, and a report is of a training; see its plots in {path}"
        )
    folder, reader = RunFolder(path), _Reader()
    recipe = reader.read("the recipe", lambda: read_recipe(folder.config))
    if result:
        summary = replace(summary, state="finished", problem="")
    elif folder.result.exists():
        result = reader.read("result.json", lambda: read_json(folder.result, RunResult))
    evaluation, predictions = _read_evaluation(folder, result, reader)
    return StoredRun(
        path=path,
        summary=summary,
        recipe=recipe,
        environment=folder.read_environment(),
        history=reader.read("the epochs", lambda: read_lines(folder.metrics, EpochRecord)) or (),
        times=reader.read("the times", lambda: read_lines(folder.times, EpochTimes)) or (),
        result=result,
        evaluation=evaluation,
        predictions=predictions,
        architecture=_read_architecture(folder, recipe, reader),
        manifest_hash=str(read_header(folder.model).get("manifest_hash", "")),
        problems=reader.problems,
    )


class _Reader:
    """Reads the parts of a run folder, and keeps the reason if one cannot be read."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def read(self, what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (AlexNetError, OSError, ValueError) as error:
            self.problems[what] = error_text(error)
            return None


def read_json(path: Path, kind: type[T]) -> T:
    """Read a JSON file as a dataclass.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, or of another version.
    """
    plain = parse_json(read_regular(path, MAX_RESULT_BYTES))
    if isinstance(plain, dict):
        plain.pop("schema", None)
    return from_dict(kind, plain, path.name)


def read_lines(path: Path, kind: type[T]) -> tuple[T, ...]:
    """Read a JSON Lines file as dataclasses, without an unfinished last line.

    Raises:
        OSError: it cannot be read.
        ValueError: a finished line is damaged.
    """
    if not path.exists():
        return ()
    lines = read_regular(path, MAX_RESULT_BYTES).split(b"\n")[:-1]
    return tuple(from_dict(kind, parse_json(line), path.name) for line in lines)


def _read_evaluation(
    folder: RunFolder, result: RunResult | None, reader: _Reader
) -> tuple[EvaluationSummary | None, tuple[ImagePrediction, ...]]:
    """Read the run's evaluation, and the predictions if they belong to it."""
    files = folder.evaluation
    stored = None
    if (files / "evaluation.json").exists() and result:
        stored = reader.read(
            "evaluation.json", lambda: read_json(files / "evaluation.json", EvaluationSummary)
        )
    evaluation = result.test if result and result.test else stored
    if not evaluation or not stored or not _is_same(evaluation, stored):
        return evaluation, ()
    table = files / "top_losses.csv"
    found = reader.read("the predictions", lambda: read_predictions(table, evaluation))
    return evaluation, found or ()


def _is_same(one: EvaluationSummary, other: EvaluationSummary) -> bool:
    """Whether two evaluations are of the same images and the same model."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("data", "split", "num_images", "crops", "class_names", "top1_error")
    )


def _read_architecture(
    folder: RunFolder, recipe: Recipe | None, reader: _Reader
) -> Architecture | None:
    """Read the model's architecture; without a model it is the recipe's, as published."""
    if folder.model.exists():
        return reader.read("the network", lambda: read_architecture(folder.model))
    return reader.read("the network", lambda: build_architecture(recipe)) if recipe else None
