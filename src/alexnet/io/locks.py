"""File locks that let one process at a time work in a folder.

Some mounts of NFS, Lustre, FUSE and SMB have no locks. There the work continues without one, with a
note.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from alexnet.reporter import NoteCallback, ignore_note

POLL_SECONDS = 1.0
"""Interval at which a waiting process tries again."""
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""Error numbers of a file system without locks."""
NATIVE: dict[str, Any] = (
    {"fallback_to_soft": False}
    if "fallback_to_soft" in signature(FileLock.__init__).parameters
    else {}
)
"""Arguments that rule out a lock by a file's existence, which would outlive a killed host."""
ONE_ALONE = "do not let two processes work in this folder at the same time"
"""Advice of the note for a file system without locks."""


def take_lock(
    path: Path,
    on_note: NoteCallback = ignore_note,
    *,
    seconds: float = 0.0,
    consequence: str = ONE_ALONE,
) -> FileLock:
    """Take the lock of a file, which is held until it is released or this process ends.

    On a file system without locks it is not held (`is_locked` is False), and releasing it does
    nothing.

    Args:
        path: path of the lock file, whose folder exists.
        on_note: called with a sentence if the file system has no locks.
        seconds: longest wait for another process to release it; below 0, without limit.
        consequence: the end of that sentence.

    Raises:
        Timeout: another process holds it.
        OSError: the file cannot be opened for writing.
    """
    lock = FileLock(path, **NATIVE)
    try:
        lock.acquire(timeout=seconds)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
        on_note(f"the file system of {path.parent} has no file locks: {consequence}")
    return lock


def is_held(path: Path) -> bool:
    """Whether another process holds the lock of this file."""
    if not os.path.lexists(path):
        return False
    try:
        take_lock(path).release()
    except Timeout:
        return True
    except OSError:
        return False
    return False


@contextmanager
def waiting_lock(
    path: Path,
    on_wait: Callable[[], None],
    on_note: NoteCallback = ignore_note,
    consequence: str = ONE_ALONE,
) -> Iterator[FileLock]:
    """Wait until no other process holds the lock of a file, and hold it during the block.

    Args:
        path: path of the lock file, whose folder exists.
        on_wait: called every second while another process holds the lock.
        on_note: as for `take_lock`.
        consequence: as for `take_lock`.

    Raises:
        OSError: the file cannot be opened for writing.
    """
    lock = None
    while lock is None:
        try:
            lock = take_lock(path, on_note, seconds=POLL_SECONDS, consequence=consequence)
        except Timeout:
            on_wait()
    try:
        yield lock
    finally:
        lock.release()
