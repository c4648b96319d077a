"""A run folder, and who may write into it.

It holds `config.json`, `environment.json`, `metrics.jsonl`, `times.jsonl`, `model.safetensors`,
`plots/`, and while the run is not over, `states/`.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, parse_json, to_dict, to_json
from alexnet.errors import ConfigError, ModelFileError, TrainingError, UsageError
from alexnet.io.files import flush, remove_folder, write_text
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.records import EpochRecord, EpochTimes
from alexnet.runtime.environment import Environment

LEFTOVERS = (".*.tmp", ".tmp??????")
"""What a killed process was writing aside: this program's names, and those of safetensors."""


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files."""

    path: Path

    @property
    def config(self) -> Path:
        """The recipe; this file alone re-creates the run."""
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
    def model(self) -> Path:
        """The best weights by validation error, or the last where there is no validation split."""
        return self.path / "model.safetensors"

    @property
    def last(self) -> Path:
        """The last weights, where `model` is the best by validation error."""
        return self.path / "last.safetensors"

    @property
    def states(self) -> Path:
        """All that is needed to go on; there only while the run has not ended."""
        return self.path / "states"

    def state(self, step: int) -> Path:
        """The state after a step."""
        return self.states / f"state-{step:06d}.safetensors"

    def saved_states(self) -> list[Path]:
        """The states that are there, the oldest first."""
        return sorted(self.states.glob("state-*.safetensors"), key=state_step)

    @property
    def plots(self) -> Path:
        """Pictures."""
        return self.path / "plots"

    @property
    def result(self) -> Path:
        """The final figures; there only when the run has ended."""
        return self.path / "result.json"

    @property
    def resume_command(self) -> str:
        """The command that goes on with this run."""
        return f"alexnet train --resume {shlex.quote(str(self.path))}"

    def read_environment(self) -> dict[str, Any]:
        """What `environment.json` says; empty where it cannot be read."""
        try:
            plain = parse_json((self.path / "environment.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return plain if isinstance(plain, dict) else {}

    def remove_temp_files(self) -> None:
        """Remove what a killed process was writing aside."""
        for folder in (self.path, self.states, self.plots):
            for pattern in LEFTOVERS:
                for path in folder.glob(pattern):
                    path.unlink()

    def clear_states(self) -> None:
        """Remove the states of a run that has ended."""
        remove_folder(self.states)

    def write_epochs(self, history: Iterable[EpochRecord], times: Iterable[EpochTimes]) -> None:
        """Write all lines anew, so that none is doubled or missing."""
        for path, lines in ((self.metrics, history), (self.times, times)):
            write_text(path, "".join(_line(line) for line in lines))

    def add_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Add one line to each of the two files."""
        for path, line in ((self.metrics, record), (self.times, times)):
            with path.open("a", encoding="utf-8") as file:
                file.write(_line(line))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within, no other process trains this run.

        Raises:
            TrainingError: another process trains it, or the folder cannot be written.
        """
        lock = FileLock(self.path / ".lock")
        try:
            held = lock.acquire(timeout=0)
        except Timeout as error:
            raise TrainingError(
                f"another process is training {self.path}; wait for it, or stop it first"
            ) from error
        except OSError as error:
            raise TrainingError(
                f"cannot write into {self.path}: {error.strerror}; "
                "put that right, or go on with a copy of it"
            ) from error
        with held:
            try:
                yield
            finally:
                if self.result.exists():
                    (self.path / ".lock").unlink(missing_ok=True)


def state_step(path: Path) -> int:
    """The step that a state's name tells; -1 for another file's name."""
    digits = path.stem.removeprefix("state-")
    return int(digits) if digits.isdecimal() else -1


def _line(record: EpochRecord | EpochTimes) -> str:
    return to_json(record, indent=None) + "\n"


def create_run(path: Path, recipe: Recipe, environment: Environment) -> RunFolder:
    """A new run folder with its configuration, whole or not at all.

    Raises:
        UsageError: the folder exists, or cannot be made.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        aside.mkdir(parents=True)
        write_text(aside / "config.json", to_json(recipe) + "\n")
        write_text(aside / "environment.json", to_json(environment) + "\n")
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        aside.rename(path)
        flush(path.parent)
    except OSError as error:
        raise UsageError(f"cannot make the folder {path}: {error.strerror}") from error
    finally:
        remove_folder(aside)
    return RunFolder(path)


def create_numbered_run(parent: Path, recipe: Recipe, environment: Environment) -> RunFolder:
    """A new run folder, the first of NAME-001, NAME-002, .. that no other run has taken.

    Raises:
        UsageError: it cannot be made.
    """
    while True:
        path = free_run_path(parent, recipe.name)
        try:
            return create_run(path, recipe, environment)
        except UsageError:
            if not path.exists():
                raise


def free_run_path(parent: Path, name: str) -> Path:
    """The first of name-001, name-002, .. that is not there yet."""
    return next(p for i in range(1, 1_000_000) if not (p := parent / f"{name}-{i:03d}").exists())


def read_recipe(path: Path, start: Recipe | None = None) -> Recipe:
    """A recipe from a JSON file, or a run folder's; what it does not name is as in `start`.

    Raises:
        ConfigError: not JSON, an unknown key, or a value out of range.
        UsageError: no such file.
    """
    path = path / "config.json" if path.is_dir() else path
    try:
        with path.open("rb") as file:  # a pipe will do, too
            text = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > MAX_TEXT_BYTES:
        raise ConfigError(f"{path} has more than {MAX_TEXT_BYTES:,} bytes; no recipe does")
    try:
        plain = parse_json(text)
    except ConfigError as error:
        raise ConfigError(f"{path} is {error}") from error
    return from_dict(Recipe, _merged(to_dict(start or Recipe()), plain), "recipe")


def _merged(base: Any, given: Any) -> Any:
    """`given` over `base`, key by key, to any depth."""
    if not (isinstance(base, dict) and isinstance(given, dict)):
        return given
    return {**base, **{key: _merged(base.get(key), value) for key, value in given.items()}}


def read_run_recipe(run: RunFolder) -> Recipe:
    """The recipe of a run that is to be gone on with.

    Raises:
        ModelFileError: not a run folder, or its config.json is lost or damaged.
    """
    if not run.config.is_file() and not run.metrics.exists() and not run.states.exists():
        raise ModelFileError(f"{run.path} is not a run folder: it has no config.json")
    try:
        return read_recipe(run.config)
    except (ConfigError, UsageError) as error:
        raise ModelFileError(
            f"{error}; without its recipe the run cannot go on: bring config.json back, "
            "or start a new run"
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
        raise ModelFileError(f"{run.metrics} has a damaged line: {error}") from error
