"""The loggers by name, and the packages that they need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from alexnet.errors import UnknownNameError, UsageError
from alexnet.io.text import short_repr
from alexnet.loggers.logger import Logger, LogStart
from alexnet.runtime.extras import require_extra

LOGS = "logs"
"""Folder in a run folder, with a subfolder for every logger of the run."""


@dataclass(frozen=True, kw_only=True)
class LoggerKind:
    """The class of a logger, and the packages that it needs."""

    module: str
    cls: str
    packages: tuple[str, ...] = ()
    """Packages that it imports; the extra that installs them has the logger's name."""


LOGGERS = {
    "csv": LoggerKind(module="csv_logger", cls="CsvLogger"),
    "tensorboard": LoggerKind(
        module="tensorboard_logger", cls="TensorBoardLogger", packages=("tensorboard",)
    ),
    "mlflow": LoggerKind(module="mlflow_logger", cls="MLflowLogger", packages=("mlflow",)),
    "wandb": LoggerKind(module="wandb_logger", cls="WandbLogger", packages=("wandb",)),
}


def read_names(words: str | Iterable[str]) -> tuple[str, ...]:
    """The loggers' names from one text such as "tensorboard,csv", or from several.

    Raises:
        UnknownNameError: there is no such logger.
        UsageError: a value is no text, or a package that a logger needs is not installed.
    """
    parts = list(words) if isinstance(words, Iterable) and not isinstance(words, str) else [words]
    if not all(isinstance(part, str) for part in parts):
        raise UsageError(f"loggers are named by words such as tensorboard, not {short_repr(words)}")
    names = [name.strip() for part in parts for name in part.split(",") if name.strip()]
    for name in names:
        if name not in LOGGERS:
            raise UnknownNameError("logger", name, LOGGERS)
        for package in LOGGERS[name].packages:
            require_extra(package, name, f"the log for {name}")
    return tuple(dict.fromkeys(names))


def begun_logs(run: Path) -> list[str]:
    """The loggers that have a folder in a run folder."""
    return [name for name in LOGGERS if (run / LOGS / name).is_dir()]


def open_logger(name: str, run: Path, start: LogStart) -> Logger:
    """Open a logger for a run; it continues an existing log.

    Raises:
        Exception: whatever the logger raises.
    """
    kind = LOGGERS[name]
    folder = run / LOGS / name
    folder.mkdir(parents=True, exist_ok=True)
    cls = getattr(import_module(f"alexnet.loggers.{kind.module}"), kind.cls)
    logger: Logger = cls(folder, start)
    return logger
