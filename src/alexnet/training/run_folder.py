"""The run folder: its files, and a lock so that one process at a time writes them.

It holds `config.json`, `environment.json`, `metrics.jsonl`, `times.jsonl`, `run.log` and
`model.safetensors`; with a validation split, `last.safetensors`; until the run has finished,
`checkpoints/`; and then `result.json`, `plots/`, `evaluation/` and `report.html`. If it diverged,
`diverged.txt` says where.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from alexnet.config.options import into_groups
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, own_file_error, parse_json, to_dict, to_json
from alexnet.errors import ConfigError, DivergedError, ModelFileError, TrainingError, UsageError
from alexnet.io.files import append_text, remove_file, remove_folder, rename, write_text
from alexnet.io.locks import is_held, take_lock
from alexnet.io.text import error_text, shell_command
from alexnet.parallel.world import current_world, on_main
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import NoteCallback, ignore_note
from alexnet.training.config_file import read_config

if TYPE_CHECKING:
    from alexnet.runtime.environment import Environment

TEMP_FILES = (".*.tmp", ".tmp??????")
"""Names of unfinished files that a killed process left: this package's and safetensors'."""

JOB_FILE = ".job"
"""File with the name of the torchrun job that began the run, and that resumes it when it starts the
processes again."""


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files."""

    path: Path

    @property
    def config(self) -> Path:
        """The recipe; this file alone is enough to repeat the run."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """One line of JSON per finished epoch: an `EpochRecord`."""
        return self.path / "metrics.jsonl"

    @property
    def times(self) -> Path:
        """One line of JSON per finished epoch: an `EpochTimes`."""
        return self.path / "times.jsonl"

    @property
    def log(self) -> Path:
        """Notes, epochs and the end, with the time; resuming appends to it."""
        return self.path / "run.log"

    @property
    def diverged(self) -> Path:
        """Why the run ended, if its loss or a weight was not finite."""
        return self.path / "diverged.txt"

    @property
    def model(self) -> Path:
        """The best weights by validation error, or the last where there is no validation split."""
        return self.path / "model.safetensors"

    @property
    def last(self) -> Path:
        """The last weights, where `model` has the best by validation error."""
        return self.path / "last.safetensors"

    @property
    def checkpoints(self) -> Path:
        """Folder of what is needed to resume; a finished run has one, to be trained further."""
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """The checkpoint after a step."""
        return self.checkpoints / f"step-{step:06d}.safetensors"

    def saved_checkpoints(self) -> list[Path]:
        """The checkpoints that exist, oldest first."""
        return sorted(self.checkpoints.glob("step-*.safetensors"), key=checkpoint_step)

    @property
    def plots(self) -> Path:
        """Folder of learning curves, filters and confusion matrix."""
        return self.path / "plots"

    @property
    def evaluation(self) -> Path:
        """Folder of the metrics and of the prediction for every evaluated image."""
        return self.path / "evaluation"

    @property
    def report(self) -> Path:
        """The run as one page of HTML."""
        return self.path / "report.html"

    @property
    def result(self) -> Path:
        """The final figures; exists once the run has finished."""
        return self.path / "result.json"

    @on_main
    def write_diverged(self, error: DivergedError) -> None:
        """Write why the run ended."""
        write_text(self.diverged, f"{error}\n")

    @on_main
    def remove_ending(self) -> None:
        """Remove the files that mark the run as ended."""
        remove_file(self.diverged)
        remove_file(self.result)
        remove_file(self.report)

    @property
    def resume_command(self) -> str:
        """The shell command that resumes this run."""
        return shell_command(["alexnet", "train", "--resume", str(self.path)])

    def read_environment(self) -> dict[str, Any]:
        """The content of `environment.json`; empty if it cannot be read."""
        try:
            plain = parse_json((self.path / "environment.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return plain if isinstance(plain, dict) else {}

    @on_main
    def remove_temp_files(self) -> None:
        """Remove unfinished files that a killed process left."""
        for folder in (self.path, self.checkpoints, self.plots):
            for pattern in TEMP_FILES:
                for path in folder.glob(pattern):
                    remove_file(path)

    @on_main
    def remove_checkpoints(self, keep_newest: bool = False) -> None:
        """Remove the checkpoints of a finished run, all or all but the newest."""
        if not (keep_newest and self.saved_checkpoints()):
            remove_folder(self.checkpoints)
        for path in self.saved_checkpoints()[:-1]:
            remove_file(path)

    @on_main
    def write_recipe(self, recipe: Recipe) -> None:
        """Write `config.json`."""
        write_text(self.config, config_text(recipe))

    @on_main
    def write_epochs(self, history: Iterable[EpochRecord], times: Iterable[EpochTimes]) -> None:
        """Rewrite both files, so that no line is missing or repeated."""
        for path, lines in ((self.metrics, history), (self.times, times)):
            write_text(path, "".join(_line(line) for line in lines))

    @on_main
    def add_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Append the epoch's line to each of the two files."""
        for path, line in ((self.metrics, record), (self.times, times)):
            append_text(path, _line(line))

    def job(self) -> str:
        """The torchrun job that began this run; "" if there is none."""
        path = self.path / JOB_FILE
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def is_locked(self) -> bool:
        """Whether another process is training this run."""
        return is_held(self.path / ".lock")

    @contextmanager
    def locked(self, on_note: NoteCallback = ignore_note) -> Iterator[None]:
        """Hold a lock that keeps other processes from training this run; only rank 0 takes it.

        `on_note` is called with a sentence where the file system has no locks.

        Raises:
            TrainingError: another process holds it, or the folder cannot be written.
        """
        if not current_world().is_main:
            yield
            return
        try:
            lock = take_lock(self.path / ".lock", on_note)
        except Timeout as error:
            raise TrainingError(
                f"another process is training {self.path}; wait for it, or stop it first"
            ) from error
        except OSError as error:
            raise TrainingError(
                f"cannot write into {self.path}: {error_text(error)}; "
                "change its permissions, or resume a copy of it"
            ) from error
        try:
            yield
        finally:
            if self.result.exists():
                remove_file(self.path / ".lock")
            lock.release()


def checkpoint_step(path: Path) -> int:
    """The step in a checkpoint's file name; -1 for any other name."""
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdecimal() else -1


def _line(record: EpochRecord | EpochTimes) -> str:
    return to_json(record, indent=None) + "\n"


def config_text(recipe: Recipe) -> str:
    """The content of `config.json`."""
    return to_json(recipe) + "\n"


def has_ended(run: RunFolder) -> bool:
    """Whether a run has finished or diverged."""
    return run.result.exists() or has_diverged(run)


def has_diverged(run: RunFolder) -> bool:
    """Whether a run ended because its loss or a weight was not finite."""
    return run.diverged.exists()


def remove_models(run: RunFolder) -> None:
    """Remove the models and checkpoints of a run; its recipe can produce them again."""
    run.remove_checkpoints()
    for path in (run.model, run.last):
        remove_file(path)


def create_run(path: Path, config: str, environment: Environment, job: str = "") -> RunFolder:
    """Create a run folder with its recipe and environment, as a whole or not at all.

    Args:
        path: where.
        config: the content of `config.json`.
        environment: of this process.
        job: that of torchrun, if there is one.

    Raises:
        UsageError: the folder exists, or cannot be created.
    """
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temp.mkdir(parents=True)
        write_text(RunFolder(temp).config, config)
        write_text(temp / "environment.json", to_json(environment) + "\n")
        if job:
            write_text(temp / JOB_FILE, job)
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        rename(temp, path)
    except OSError as error:
        raise UsageError(f"cannot create the folder {path}: {error.strerror}") from error
    finally:
        remove_folder(temp)
    return RunFolder(path)


def create_numbered_run(
    parent: Path, name: str, config: str, environment: Environment, job: str = ""
) -> RunFolder:
    """Create the first of NAME-001, NAME-002, .. that does not exist; see `create_run`.

    Raises:
        UsageError: it cannot be created.
    """
    while True:
        path = free_run_path(parent, name)
        try:
            return create_run(path, config, environment, job)
        except UsageError:
            if not path.exists():
                raise


def free_run_path(parent: Path, name: str) -> Path:
    """The first of NAME-001, NAME-002, .. that does not exist."""
    return next(p for i in range(1, 1_000_000) if not (p := parent / f"{name}-{i:03d}").exists())


def read_recipe(path: Path, start: Recipe | None = None) -> Recipe:
    """Read a recipe from a JSON, TOML or YAML file.

    Args:
        path: the file, or a run folder. It has the recipe's fields as `config.json` has them, or
            options by the words of their flags: `lr = 0.01`.
        start: values of the fields that the file leaves out; the defaults unless given.

    Raises:
        ConfigError: not JSON, TOML or YAML, an unknown key, or a value out of range.
        UsageError: no such file.
    """
    return merged_recipe(read_options(path), start or Recipe())


def merged_recipe(options: Any, start: Recipe) -> Recipe:
    """The recipe `start`, changed by the options from `read_options`.

    Raises:
        ConfigError: an unknown key, or a value out of range.
    """
    return from_dict(Recipe, _merge(to_dict(start), options), "recipe")


def read_options(path: Path) -> Any:
    """Read the values in a config file, only once, since it may be a pipe.

    Raises:
        ConfigError: not JSON, TOML or YAML.
        UsageError: no such file.
    """
    return into_groups(Recipe, read_config(path / "config.json" if path.is_dir() else path))


def _merge(base: Any, given: Any) -> Any:
    """`base`, updated recursively with the values of `given`."""
    if not (isinstance(base, dict) and isinstance(given, dict)):
        return given
    return {**base, **{key: _merge(base.get(key), value) for key, value in given.items()}}


def read_run_recipe(run: RunFolder) -> Recipe:
    """The recipe of a run that is to be resumed.

    Raises:
        ModelFileError: not a run folder, or its config.json is missing or damaged.
    """
    if not run.config.is_file() and not run.metrics.exists() and not run.checkpoints.exists():
        raise ModelFileError(f"{run.path} is not a run folder: it has no config.json")
    try:
        return read_recipe(run.config)
    except (ConfigError, UsageError) as error:
        raise ModelFileError(
            f"{own_file_error(error)}; the run cannot be resumed without its recipe: "
            "restore config.json, or start a new run"
        ) from error


def read_metrics(run: RunFolder) -> list[EpochRecord]:
    """The finished epochs of a run.

    Raises:
        ModelFileError: a line is damaged.
    """
    lines = run.metrics.read_text(encoding="utf-8").splitlines()
    try:
        return [from_dict(EpochRecord, parse_json(line)) for line in lines]
    except ValueError as error:
        raise ModelFileError(
            f"{run.metrics} has a damaged line: {own_file_error(error)}"
        ) from error


def read_times(run: RunFolder) -> list[EpochTimes]:
    """The times of a run's finished epochs; none if they cannot be read."""
    with suppress(OSError, ValueError):
        lines = run.times.read_text("utf-8").splitlines()
        return [from_dict(EpochTimes, parse_json(line)) for line in lines]
    return []
