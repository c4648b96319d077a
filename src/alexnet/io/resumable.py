"""A folder that is built once, by one process at a time, and whose build survives a kill.

It is built in `<folder>.partial`, which stays when the process ends early, so that the next one
resumes. When all is done, one rename gives the folder its final name. Where the file system has no
locks, every process builds a hidden folder of its own, which goes with it.
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
"""What follows where nothing keeps processes apart."""


@dataclass(frozen=True, kw_only=True)
class ResumableFolder:
    """What is built, and where."""

    what: str
    """What messages call it: "store"."""
    folder: Path
    """Of the finished build."""
    files: tuple[str, ...]
    """All that it then holds; the last one tells that it is finished."""
    way_out: str = "free some space there or set ALEXNET_CACHE to another folder"
    """What to do when it cannot be written."""

    @property
    def partial_folder(self) -> Path:
        """Where it is built."""
        return self.folder.with_name(f"{self.folder.name}.partial")

    @property
    def is_finished(self) -> bool:
        """Whether the finished folder is there."""
        return (self.folder / self.files[-1]).exists()

    def build(
        self,
        fill: Callable[[Path], None],
        on_wait: Callable[[], None],
        on_note: NoteCallback = ignore_note,
    ) -> None:
        """Build the folder, unless another process does so first.

        Args:
            fill: makes or completes all `files` in the folder that it is given; leaves none of them
                mapped, since Windows does not move a folder with open files.
            on_wait: called every second while another process builds the folder.
            on_note: called once with a sentence if another process does, or if the file system has
                no locks.

        Raises:
            DataError: the folder cannot be written, or `fill` raises one.
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
    """The callback, and the note before its first call."""
    calls = count()

    def wait() -> None:
        if not next(calls):
            note()
        on_wait()

    return wait
