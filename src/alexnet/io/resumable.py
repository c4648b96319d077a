"""A folder that is built once, by one process at a time, and whose build survives a kill.

It is built in `<folder>.partial`, which is kept if the process ends early, so that the next one
resumes. A complete folder is renamed to its final name. On a file system without locks, every
process builds a hidden folder of its own, which is removed if the process ends early.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from alexnet.errors import DataError
from alexnet.io.files import fsync, remove_folder, rename
from alexnet.io.locks import waiting_lock
from alexnet.io.text import error_text
from alexnet.reporter import NoteCallback, ignore_note

WITHOUT_LOCKS = "if several processes make the same {0} at once, each makes its own; one stays"
"""Advice of the note for a file system without locks."""


@dataclass(frozen=True, kw_only=True)
class ResumableFolder:
    """A folder to build, and the names of its files."""

    what: str
    """Name of its kind for messages: "store"."""
    folder: Path
    """Path of the finished folder."""
    files: tuple[str, ...]
    """Names of all its files when it is finished; the last one marks that it is."""
    way_out: str = "free some space there or set ALEXNET_CACHE to another folder"
    """Advice of the error if the folder cannot be written."""

    @property
    def partial_folder(self) -> Path:
        """Path of the folder while it is built."""
        return self.folder.with_name(f"{self.folder.name}.partial")

    @property
    def is_finished(self) -> bool:
        """Whether the finished folder exists."""
        return (self.folder / self.files[-1]).exists()

    def build(
        self,
        fill: Callable[[Path], None],
        on_wait: Callable[[], None],
        on_note: NoteCallback = ignore_note,
    ) -> None:
        """Build the folder, unless another process does so first.

        Args:
            fill: a function that makes or completes all `files` in the given folder; it must leave
                none of them mapped, since Windows does not move a folder with open files.
            on_wait: called every second while another process builds the folder.
            on_note: called once with a sentence if another process builds the folder, or if the
                file system has no locks.

        Raises:
            DataError: the folder cannot be written, or `fill` raises it.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = self.folder.with_name(f"{self.folder.name}.lock")
            wait = with_note(on_wait, partial(on_note, self._waiting_text))
            with waiting_lock(lock, wait, on_note, WITHOUT_LOCKS.format(self.what)) as held:
                if not self.is_finished:
                    self._build(fill, is_alone=held.is_locked)
        except OSError as error:
            raise DataError(
                f"cannot write the {self.what} {self.folder}: {error_text(error)}; {self.way_out}"
            ) from error

    def _build(self, fill: Callable[[Path], None], *, is_alone: bool) -> None:
        if is_alone:
            fill(self.partial_folder)
            self._finish(self.partial_folder)
            return
        own = self.folder.with_name(f".{self.folder.name}-{secrets.token_hex(4)}")
        try:
            fill(own)
            if not self.is_finished:
                self._finish(own)
        except OSError:
            if not self.is_finished:  # else another process was first
                raise
        finally:
            remove_folder(own)

    @property
    def _waiting_text(self) -> str:
        return (
            f"another process makes the {self.what} {self.folder.name}; waiting for it, and "
            "continuing in its place if it ends early"
        )

    def _finish(self, built: Path) -> None:
        """Flush all files to the disk, then rename the folder to its final name."""
        for path in list(built.iterdir()):
            if path.name in self.files:
                fsync(path)
            else:  # of the build, or the temporary file of a killed one
                path.unlink()
        fsync(built)
        remove_folder(self.folder)
        rename(built, self.folder)


def with_note(on_wait: Callable[[], None], note: Callable[[], None]) -> Callable[[], None]:
    """A callback that calls `note` before the first call of `on_wait`."""
    calls = count()

    def wait() -> None:
        if not next(calls):
            note()
        on_wait()

    return wait
