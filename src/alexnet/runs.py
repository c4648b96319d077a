"""A run folder.

It holds `config.json`, `environment.json`, `metrics.jsonl`, `model.safetensors`,
`state.safetensors` and `plots/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.data.files import write_text
from alexnet.environment import Environment
from alexnet.errors import ConfigError, UsageError
from alexnet.recipe import Recipe
from alexnet.records import EpochRecord
from alexnet.values import from_plain, to_json, to_plain


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
        """One line of JSON per finished epoch."""
        return self.path / "metrics.jsonl"

    @property
    def model(self) -> Path:
        """The best weights by validation error, or the last where there is no validation split."""
        return self.path / "model.safetensors"

    @property
    def last(self) -> Path:
        """The last weights, where `model` is the best by validation error."""
        return self.path / "last.safetensors"

    @property
    def state(self) -> Path:
        """All that is needed to go on."""
        return self.path / "state.safetensors"

    @property
    def plots(self) -> Path:
        """Pictures."""
        return self.path / "plots"

    @property
    def result(self) -> Path:
        """The final figures; there only when the run has ended."""
        return self.path / "result.json"

    def read_environment(self) -> dict[str, Any]:
        """What `environment.json` says; empty where it cannot be read."""
        try:
            plain = json.loads((self.path / "environment.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return plain if isinstance(plain, dict) else {}

    def clear_leftovers(self) -> None:
        """Remove what a killed process was writing aside."""
        for path in self.path.glob(".*"):
            path.unlink()

    def write_metrics(self, history: Iterable[EpochRecord]) -> None:
        """Write all lines anew, so that none is doubled or missing."""
        write_text(self.metrics, "".join(to_json(record, indent=None) + "\n" for record in history))

    def add_metrics(self, record: EpochRecord) -> None:
        """Add one line."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(to_json(record, indent=None) + "\n")


def create_run(path: Path, recipe: Recipe, environment: Environment) -> RunFolder:
    """A new run folder with its configuration.

    Raises:
        UsageError: the folder exists, or cannot be made.
    """
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {path}: {error.strerror}") from error
    run = RunFolder(path)
    write_text(run.config, to_json(recipe) + "\n")
    write_text(path / "environment.json", to_json(environment) + "\n")
    return run


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
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    return from_plain(Recipe, _merged(to_plain(start or Recipe()), plain), "recipe")


def _merged(base: Any, given: Any) -> Any:
    """`given` over `base`, key by key, to any depth."""
    if not (isinstance(base, dict) and isinstance(given, dict)):
        return given
    return {**base, **{key: _merged(base.get(key), value) for key, value in given.items()}}


def read_metrics(run: RunFolder) -> list[EpochRecord]:
    """The finished epochs of a run."""
    lines = run.metrics.read_text(encoding="utf-8").splitlines()
    return [from_plain(EpochRecord, json.loads(line)) for line in lines]
