"""Atomic writing of files, and reading that never blocks on a pipe or device.

The functions also handle what differs on Windows: it flushes only files that are open for writing,
and no folders; and it neither moves nor removes a file that any program has open.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from alexnet.io.text import IS_WINDOWS

READ_ONLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags to read without waiting for the other end of a pipe; some systems lack some of them."""
RENAME_TRIES, RENAME_PAUSE_SECONDS = 20, 0.1
"""Tries on Windows, where a virus scanner or an indexer may have a file open for a moment."""


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    Yields a temporary path in the folder of `target` to write to. After the body the file is
    flushed to disk and renamed to `target`. If the body raises, the temporary file is removed and
    `target` is not changed.

    Raises:
        OSError: the file cannot be written; the error names `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        fsync(temporary)
        rename(temporary, target)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            raise _with_filename(error, target) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _with_filename(error: OSError, path: Path) -> OSError:
    """An error of the same kind that names `path`."""
    return OSError(error.errno or errno.EIO, error.strerror or str(error), str(path))


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    with atomic_write(target) as path:
        path.write_text(text, encoding="utf-8", newline="\n")


def append_text(target: Path, text: str) -> None:
    """Append to a text file in UTF-8; line ends are the same on every system."""
    with target.open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder, replacing a file of that name, and flush its folder.

    Raises:
        OSError: `source` cannot be renamed; on Windows also if a program has one of the two open.
    """
    for tries_left in reversed(range(RENAME_TRIES if IS_WINDOWS else 1)):
        try:
            source.replace(target)
            break
        except PermissionError:
            if not tries_left:
                raise
            time.sleep(RENAME_PAUSE_SECONDS)
    fsync(target.parent)


def remove_file(path: Path) -> None:
    """Remove a file, if it exists and the system allows it; Windows keeps one that is open."""
    with suppress(PermissionError):
        path.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk; folders are not flushed on Windows."""
    if IS_WINDOWS and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if IS_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_folder(folder: Path) -> None:
    """Remove a folder and its content, if it exists."""
    shutil.rmtree(folder, ignore_errors=True)


def size_bytes(path: Path) -> int:
    """The size of a file, or of all files in a folder; links and unreadable files count as 0."""
    total, folders = 0, [path]
    if not path.is_dir() or path.is_symlink():
        with suppress(OSError):
            status = path.lstat()
            return status.st_size if stat.S_ISREG(status.st_mode) else 0
        return 0
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    return total


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
        OSError: the file does not exist, may not be read, is not a regular file, or is larger than
            `max_bytes`.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise OSError(errno.EFBIG, f"more than {max_bytes:,} bytes", str(path))
        return file.read()
