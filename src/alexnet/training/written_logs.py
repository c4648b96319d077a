"""Logs of a run for other programs, written afterwards from the files of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alexnet.errors import TrainingError, UsageError
from alexnet.io.files import remove_folder
from alexnet.io.text import error_text, printable, shell_command
from alexnet.loggers.catalogue import LOGS, open_logger, read_names
from alexnet.loggers.logger import LogResult, Row, epoch_row, log_start
from alexnet.training.results import RunResult, read_result
from alexnet.training.run_folder import RunFolder, read_metrics, read_run_recipe, read_times


def log_run(path: Path, names: str | Sequence[str], *, replace: bool = False) -> list[Path]:
    """Write the epochs, the figures and the result of a run as logs for other programs.

    Args:
        path: the run folder; it may be finished or not.
        names: of the loggers: "tensorboard,csv".
        replace: write a log anew that is there; else that is an error.

    Returns:
        The folders of the logs, in the run folder.

    Raises:
        UsageError: there is no such logger, or its package is not installed.
        ModelFileError: not a run folder, or a damaged one.
        TrainingError: the run has no finished epoch, is being trained, has such a log already, or
            the log cannot be written.
    """
    names, folder = read_names(names), RunFolder(path)
    if not names:
        raise UsageError("name at least one logger, such as --to tensorboard")
    rows = _rows(folder)
    if folder.is_locked():
        raise TrainingError(f"another process is training {path}; wait for its end")
    for name in names:
        _make_room(path, name, replace)
    for name in names:
        try:
            _write(folder, name, rows)
        except Exception as error:
            raise TrainingError(
                f"the log for {name} of {path} cannot be written: {printable(error_text(error))}"
            ) from error
    return [path / LOGS / name for name in names]


def _make_room(path: Path, name: str, replace: bool) -> None:
    log = path / LOGS / name
    if log.is_dir() and not replace:
        again = shell_command(["alexnet", "log", str(path), "--to", name, "--replace"])
        raise TrainingError(
            f"{log} is there already; write it anew, from the finished epochs, with: {again}"
        )
    remove_folder(log)


def _rows(folder: RunFolder) -> list[Row]:
    """A row for every finished epoch.

    Raises:
        ModelFileError: not a run folder, or a damaged one.
        TrainingError: no epoch has finished.
    """
    recipe = read_run_recipe(folder)
    history = read_metrics(folder) if folder.metrics.exists() else []
    if not history:
        raise TrainingError(f"{folder.path} ({recipe.name}) has no finished epoch to log")
    times = {one.epoch: one for one in read_times(folder)}
    return [epoch_row(record, times.get(record.epoch)) for record in history]


def _write(folder: RunFolder, name: str, rows: Sequence[Row]) -> None:
    start = log_start(folder.path, read_run_recipe(folder), 0, 0)
    logger = open_logger(name, folder.path, start)
    logger.log_rows(rows)
    is_finished = folder.result.exists()
    if is_finished:
        logger.log_result(log_result(read_result(folder), folder, rows[-1].step))
    logger.close(is_finished=is_finished)


def log_result(result: RunResult, folder: RunFolder, step: int) -> LogResult:
    """A finished run's result for loggers."""
    validation, test = result.validation, result.test
    metrics: dict[str, float | None] = {
        "epochs": result.epochs,
        "training_seconds": result.training_seconds,
        "best_epoch": validation.epoch if validation else None,
        "val_top1_error": validation.top1_error if validation else None,
        "test_top1_error": test.top1_error if test else None,
        "test_top5_error": test.top5_error if test else None,
        "test_loss": test.loss if test else None,
    }
    return LogResult(
        step=step,
        metrics={name: float(value) for name, value in metrics.items() if value is not None},
        figures=sorted(folder.plots.glob("*.png")),
    )
