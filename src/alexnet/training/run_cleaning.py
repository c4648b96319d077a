"""Remove runs that are named, and what failed and finished runs have left behind.

A folder is renamed before its content is removed, so that no half of a run is left under its name.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import UsageError
from alexnet.io.files import remove_file, remove_folder, rename, size_bytes
from alexnet.io.run_paths import is_run
from alexnet.io.text import error_text
from alexnet.training.run_folder import TEMP_FILES, RunFolder
from alexnet.training.run_index import RunSummary, list_runs, summarize_run

MIN_TEMP_AGE_SECONDS = 3600.0
"""Age in seconds from which a temporary folder counts as left over: no process is filling it any
more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """A file or folder that can be removed."""

    path: str
    reason: str
    size_bytes: int


def find_leftovers(folder: Path) -> list[Leftover]:
    """Find what can be removed from a folder of runs, or from one run, without a loss.

    These are the states and temporary files of finished runs, runs that ended before their first
    epoch or checkpoint, and folders that a killed start left. Models, and runs that can be resumed,
    are never among them; nor are links, damaged runs, and runs that a process is training.

    Raises:
        UsageError: the folder cannot be read.
    """
    found = [] if is_run(folder) else _killed_starts(folder)
    for summary in list_runs(folder):
        run = RunFolder(Path(summary.path))
        if run.path.is_symlink():
            continue
        if summary.state == "finished":
            found += _of_finished(run)
        elif summary.state in ("unfinished", "diverged") and _has_nothing(summary, run):
            reason = f"{summary.state}, without an epoch or a checkpoint"
            found.append(_leftover(run.path, reason))
    return found


def named_runs(paths: list[Path]) -> list[RunSummary]:
    """The runs in these folders; runs may only be removed if they are named.

    Raises:
        UsageError: a path is no run folder, is a link, or a process is training it.
    """
    for path in paths:
        if not is_run(path):
            raise UsageError(f"{path} is not a run folder")
        if path.is_symlink():
            raise UsageError(f"{path} is a link to {path.resolve()}; remove it yourself")
    runs = [summarize_run(path) for path in paths]
    for run in runs:
        if run.state == "running":
            raise UsageError(f"a process is training {run.path}; stop it first")
    return runs


def remove(path: Path) -> str:
    """Remove a file or folder; return why that failed, or "" if it did not."""
    if not path.is_dir():
        remove_file(path)
        return f"{path} cannot be removed" if os.path.lexists(path) else ""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        rename(path, aside)
    except OSError as error:
        return f"{path} cannot be removed: {error_text(error)}"
    remove_folder(aside)
    return f"{aside} cannot be removed" if aside.exists() else ""


def _of_finished(run: RunFolder) -> list[Leftover]:
    """The state and the temporary files of a finished run."""
    found = []
    if run.checkpoints.is_dir():
        found.append(
            _leftover(run.checkpoints, "state of a finished run, which only more epochs need")
        )
    for folder in (run.path, run.plots):
        for pattern in TEMP_FILES:
            found += [_leftover(path, "not finished when killed") for path in folder.glob(pattern)]
    return found


def _has_nothing(summary: RunSummary, run: RunFolder) -> bool:
    """Whether a run has no epoch, no checkpoint and no model."""
    return not (summary.epochs or run.saved_checkpoints() or run.model.exists())


def _killed_starts(folder: Path) -> list[Leftover]:
    """The temporary folders that a killed start or removal of a run has left."""
    if not folder.is_dir():
        return []
    now = time.time()
    return [
        _leftover(path, "left when a process was killed")
        for path in folder.glob(".*.tmp")
        if not path.is_symlink()
        and path.is_dir()
        and is_run(path)
        and now - path.stat().st_mtime > MIN_TEMP_AGE_SECONDS
    ]


def _leftover(path: Path, reason: str) -> Leftover:
    return Leftover(path=str(path), reason=reason, size_bytes=size_bytes(path))
