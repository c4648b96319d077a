"""Memory-mapped arrays that are filled over time, and survive a kill."""

from __future__ import annotations

import errno
import math
import os
import shutil
from pathlib import Path

import numpy as np

from alexnet.io.files import fsync, rename


def open_or_allocate(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Open the array of a .npy file for reading and writing; zeros if there is none of this shape.

    The space of a new array is allocated at once, so that a full disk fails here.

    Raises:
        OSError: there is no space for the array.
    """
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    if (array := _open_existing(path, shape, dtype)) is not None:
        return array
    require_space(path.parent, math.prod(shape) * np.dtype(dtype).itemsize)
    try:
        _allocate(temporary, shape, dtype)
        fsync(temporary)
        rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="r+")


def require_space(folder: Path, needed_bytes: int) -> None:
    """Check that `needed_bytes` more can be written into a folder.

    Raises:
        OSError: there is not enough space.
    """
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise OSError(
            errno.ENOSPC, f"it needs {needed_bytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free"
        )


def _open_existing(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray | None:
    """The existing array; None if there is none of this shape and type, or it is damaged."""
    try:
        array = np.lib.format.open_memmap(path, mode="r+")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return array if (array.shape, array.dtype) == (shape, np.dtype(dtype)) else None


def _allocate(path: Path, shape: tuple[int, ...], dtype: type) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
