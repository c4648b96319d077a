"""The folder of a tuning, and which process does which of its trials.

    OUT/tuning.json     the number of this folder, and where its study is
    OUT/study.journal   the study, unless it is elsewhere
    OUT/trials/007      the run folder of a trial, by its number in the study
    OUT/confirm/..      trainings of the winner and of the recipe with new seeds
    OUT/result.json winner.json plots/

A process that runs a trial holds a lock on it, which is released however the process ends. So a
running trial of this folder that is not locked was left by a killed process, and is continued.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from alexnet.config.serialization import parse_json
from alexnet.errors import ConfigError, UsageError
from alexnet.io.files import remove_file, write_text
from alexnet.io.locks import take_lock, waiting_lock
from alexnet.io.text import error_text
from alexnet.reporter import NoteCallback, ignore_note
from alexnet.training.run_folder import RunFolder


@dataclass(eq=False)
class TuningFolder:
    """The files of a tuning, and the locks of its trials."""

    path: Path
    number: str
    """A unique text that distinguishes the folders that share a study."""
    study: str
    """The address of its study: a path, or one with "://"."""
    locks: dict[int, FileLock] = field(default_factory=dict)
    """Locks of the trials that this process runs, by the numbers of the trials."""

    @property
    def has_own_study(self) -> bool:
        """Whether the study is in this folder."""
        return self.study == str(own_study(self.path))

    @property
    def salt(self) -> str:
        """A part of the sampler's seed that differs between folders that share a study."""
        return "" if self.has_own_study else self.number

    @property
    def result(self) -> Path:
        """Path of the trials and the winner, as of the last call."""
        return self.path / "result.json"

    @property
    def winner(self) -> Path:
        """Path of the winner's recipe, for --config."""
        return self.path / "winner.json"

    @property
    def plots(self) -> Path:
        """Folder of the plots."""
        return self.path / "plots"

    def trial(self, number: int) -> RunFolder:
        """The run folder of a trial."""
        return RunFolder(self.path / "trials" / f"{number:03d}")

    def confirming(self, name: str, seed: int) -> RunFolder:
        """The run folder of a confirming training; `name` is "recipe" or that of a trial."""
        return RunFolder(self.path / "confirm" / f"{name}-s{seed}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A context in which no other process chooses a trial of this folder."""
        with waiting_lock(self.path / ".lock", lambda: None):
            yield

    def claim_confirmation(self) -> FileLock | None:
        """Take the lock of the confirmation; None if another process has it."""
        try:
            return take_lock(self.path / ".confirm.lock")
        except Timeout:
            return None

    def claim(self, number: int) -> bool:
        """Lock a trial for this process; False if another process has it.

        Where the file system has no locks, no other process may work in this folder.
        """
        path = self.path / "trials" / f".{number:03d}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = take_lock(path)
        except Timeout:
            return False
        if self.trial(number).is_locked():  # by a process that saves its checkpoint at its end
            lock.release()
            return False
        self.locks[number] = lock
        return True

    def release(self, number: int, *, ended: bool = False) -> None:
        """Release the lock of a trial; the lock file of a trial that has ended is removed."""
        if lock := self.locks.pop(number, None):
            lock.release()
            if ended:
                with suppress(OSError):
                    remove_file(Path(lock.lock_file))

    def release_all(self) -> None:
        """Release the locks of all trials."""
        for number in list(self.locks):
            self.release(number)


def own_study(path: Path) -> Path:
    """The path of a folder's study, unless another address was given."""
    return path / "study.journal"


def open_folder(path: Path, study: str, on_note: NoteCallback = ignore_note) -> TuningFolder:
    """Open the folder of a tuning, which is created if it does not exist.

    Args:
        path: the folder.
        study: the address of the study; "" for the folder's present study, or a new one in it.
        on_note: called with a sentence where the file system has no locks.

    Raises:
        UsageError: the folder is not a tuning's, cannot be written, or has another study.
    """
    has_facts = (path / "tuning.json").exists()
    if path.exists() and not has_facts and (not path.is_dir() or any(_files(path))):
        raise UsageError(f"{path} exists and holds no tuning; choose another --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with waiting_lock(path / ".lock", lambda: None, on_note):
            return _open(path, study)
    except OSError as error:
        raise UsageError(f"cannot write into {path}: {error_text(error)}") from error


def _files(path: Path) -> Iterator[Path]:
    return (file for file in path.iterdir() if file.name != ".lock")


def _open(path: Path, study: str) -> TuningFolder:
    facts = path / "tuning.json"
    if not facts.exists():
        address = study or str(own_study(path))
        plain = {"number": uuid.uuid4().hex, "study": "" if not study else address}
        write_text(facts, json.dumps(plain) + "\n")
    try:
        plain = parse_json(facts.read_bytes())
        number, found = str(plain["number"]), str(plain["study"])
    except (ConfigError, KeyError, TypeError) as error:
        raise UsageError(f"{facts} is damaged; choose another --out") from error
    if study not in ("", found):
        raise UsageError(
            f"{path} has its study in {found or own_study(path)}, not in {study}; leave --study "
            "out, or choose another --out"
        )
    return TuningFolder(path=path, number=number, study=found or str(own_study(path)))
