"""Atomic writing of files, and reading that never blocks on a pipe or device."""

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
"""Read without waiting for the other end of a pipe; not every system has all three flags."""


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    Yields a temporary path in the folder of `target` to write to. After the body the file is
    flushed to disk and renamed to `target`. If the body raises, it is removed and `target` stays as
    it was.

    Raises:
        OSError: the file cannot be written; the error names `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        fsync(temporary)
        temporary.replace(target)
        fsync(target.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            raise _with_filename(error, target) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _with_filename(error: OSError, path: Path) -> OSError:
    """The same error for `path`."""
    return OSError(error.errno or errno.EIO, error.strerror or str(error), str(path))


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    with atomic_write(target) as path:
        path.write_text(text, encoding="utf-8")


def fsync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_folder(folder: Path) -> None:
    """Remove a folder and its content, if it exists."""
    shutil.rmtree(folder, ignore_errors=True)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; pipes, sockets and devices are rejected without waiting.

    Raises:
        OSError: the file does not exist, may not be read, or is not a regular file.
    """
    if stat.S_ISREG(path.stat().st_mode):  # opening a device can have side effects
        handle = os.open(path, READ_ONLY)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
    is_folder = path.is_dir()
    reason = "a folder, not a file" if is_folder else "not a regular file"
    raise OSError(errno.EISDIR if is_folder else errno.EINVAL, reason, str(path))


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Read a whole regular file.

    Raises:
        OSError: as `open_regular`, or the file is larger than `max_bytes`.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise OSError(errno.EFBIG, f"more than {max_bytes:,} bytes", str(path))
        return file.read()
