"""The protocol of loggers, and the values that they get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from alexnet.config.recipe import Recipe
from alexnet.config.recipe_values import Setting, flat_values, without_folders
from alexnet.config.serialization import to_json
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import StepReport

RowKind: TypeAlias = Literal["step", "epoch"]
KINDS: tuple[RowKind, ...] = ("step", "epoch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The figures of one step, or of one epoch."""

    kind: RowKind
    step: int
    """Finished steps since the start of the run, also for an epoch."""
    values: Mapping[str, float]
    """Figures by name; errors are fractions from 0 to 1."""

    @property
    def tagged(self) -> dict[str, float]:
        """The values under names such as "epoch/train_loss"."""
        return {f"{self.kind}/{name}": value for name, value in self.values.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class LogStart:
    """The facts that a logger gets before the first step of a session."""

    run: str
    """The name of the run."""
    settings: Mapping[str, Setting]
    """The recipe's values by names such as "optimizer.lr"."""
    recipe: str
    """The recipe as JSON."""
    last_steps: Mapping[RowKind, int]
    """The last finished step, and the last step of the last finished epoch; 0 in a new run. Rows of
    later steps, logged by an earlier session, are replaced."""

    @property
    def is_new(self) -> bool:
        """Whether the run starts from its first step."""
        return not any(self.last_steps.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class LogResult:
    """The final results of a run for a logger."""

    step: int
    """The last step."""
    metrics: Mapping[str, float]
    """Final figures by name, such as "test_top1_error"."""
    figures: Sequence[Path]
    """Paths of PNG files."""


class Logger(Protocol):
    """A writer of the log of one run. Any exception that it raises ends the log, not the run."""

    def __init__(self, folder: Path, start: LogStart) -> None:
        """Begin a log, or continue the one in the folder.

        Args:
            folder: the existing folder for this logger's files.
            start: the facts about the run.
        """

    def log_rows(self, rows: Sequence[Row]) -> None:
        """Add rows, in their order."""

    def log_result(self, result: LogResult) -> None:
        """Add the final results of the run."""

    def close(self, *, is_finished: bool) -> None:
        """Write all remaining data, and end the session of the log."""


def step_row(report: StepReport) -> Row:
    """The row of a step."""
    values = {"epoch": report.epoch, "loss": report.step_loss, "lr": report.lr}
    return Row(kind="step", step=report.step, values=values)


def epoch_row(record: EpochRecord, times: EpochTimes | None) -> Row:
    """The row of an epoch; unknown values are left out."""
    split = record.eval_split
    values: dict[str, float | None] = {
        "epoch": record.epoch,
        "lr": record.lr,
        "train_loss": record.train_loss,
        "train_top1_error": record.train_top1_error,
        "train_top5_error": record.train_top5_error,
        f"{split}_loss": record.eval_loss,
        f"{split}_top1_error": record.eval_top1_error,
        f"{split}_top5_error": record.eval_top5_error,
        "images_per_second": times.images_per_second if times else None,
        "data_wait_fraction": times.data_wait_fraction if times else None,
        "elapsed_seconds": times.elapsed_seconds if times else None,
        **{f"update_ratio/{layer.name}": layer.ratio for layer in record.layers},
    }
    known = {name: value for name, value in values.items() if value is not None}
    return Row(kind="epoch", step=record.step, values=known)


def log_start(run: Path, recipe: Recipe, step: int, epoch_step: int) -> LogStart:
    """The facts about a run for its loggers; paths on this machine are reduced to the last name.

    Args:
        run: the run folder.
        recipe: the run's recipe.
        step: number of finished steps.
        epoch_step: number of finished steps at the end of the last finished epoch.
    """
    recipe = without_folders(recipe)
    return LogStart(
        run=run.resolve().name,
        settings=flat_values(recipe),
        recipe=to_json(recipe),
        last_steps={"step": step, "epoch": epoch_step},
    )
