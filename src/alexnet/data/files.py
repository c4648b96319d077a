"""Files and folders that are whole or absent: written aside, flushed, renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
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
    with written_aside(target) as aside:
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
