"""Files and folders that are whole or absent: written aside, flushed, renamed; and safe reading."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

READ_ONLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Without waiting for a pipe's other end; not all systems have all three."""


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, to write to.

    On success it is flushed and takes the target's place. When the body raises, the temporary file
    is removed and the target stays as it was.

    Raises:
        OSError: it cannot be written; names the target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield aside
        flush(aside)
        aside.replace(target)
        flush(target.parent)
    except OSError as error:
        if error.filename in (None, str(aside)):
            raise _named(error, target) from error
        raise
    finally:
        aside.unlink(missing_ok=True)


def _named(error: OSError, target: Path) -> OSError:
    """The same error, told of the file that was to be written."""
    return OSError(error.errno or errno.EIO, error.strerror or str(error), str(target))


def write_text(target: Path, text: str) -> None:
    """Write a whole text file, or leave the old one."""
    with atomic_write(target) as aside:
        aside.write_text(text, encoding="utf-8")


def flush(path: Path) -> None:
    """Ask the system to put a file or a folder's entries onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; a pipe, socket or device is refused and never waited for.

    Raises:
        OSError: it is not there, may not be read, or is not a regular file.
    """
    if stat.S_ISREG(path.stat().st_mode):  # a device may do something when it is opened
        handle = os.open(path, READ_ONLY)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
    is_folder = path.is_dir()
    reason = "a folder, not a file" if is_folder else "not a regular file"
    raise OSError(errno.EISDIR if is_folder else errno.EINVAL, reason, str(path))


def read_regular(path: Path, largest_bytes: int) -> bytes:
    """Read a whole regular file of at most `largest_bytes`.

    Raises:
        OSError: as `open_regular`, or there is more in it.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > largest_bytes:
            raise OSError(errno.EFBIG, f"more than {largest_bytes:,} bytes", str(path))
        return file.read()
