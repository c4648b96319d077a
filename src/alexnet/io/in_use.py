"""Record when an entry of the cache was last used, and whether a process uses it now."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from alexnet.io.paths import cache_folder

try:
    import fcntl
except ImportError:  # Windows removes nothing that is open
    fcntl = None  # type: ignore[assignment]


def mark_used(path: Path) -> None:
    """Set the time of a file or folder to now, if it is in the cache and may be changed."""
    with suppress(OSError):
        if path.is_relative_to(cache_folder()):
            os.utime(path)


class InUse:
    """A mark for other processes that a file is in use, as long as this object exists.

    It is a shared lock (flock), which ends with the process at the latest. On a file system without
    locks it has no effect. A copy, also an unpickled one, has a lock of its own.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._handle = path, -1
        if fcntl is None:
            return
        with suppress(OSError):
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(self._handle, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def __reduce__(self) -> tuple[type[InUse], tuple[Path]]:
        return InUse, (self._path,)

    def __del__(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)


def is_in_use(path: Path) -> bool:
    """Whether a process holds an `InUse` of this file."""
    if fcntl is None:
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False
