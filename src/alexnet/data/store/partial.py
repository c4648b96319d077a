"""A store that is being built: arrays at full size, and which of their rows are done.

A killed process leaves it as it is. After a power cut a part of it may not have reached the disk;
so each row has a checksum, and a row that does not match it is done again.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.io.files import fsync

TODO, KEPT, REFUSED = 0, 1, 2
"""What `done` says of a row."""
LOG = "refused.jsonl"
"""Row and reason of every refused picture, a line each, and empty lines."""


@dataclass(frozen=True)
class Partial:
    """The arrays of a store that is being built."""

    folder: Path
    images: np.ndarray
    moments: np.ndarray
    done: np.ndarray
    checks: np.ndarray
    """Checksum of each row that is kept: after a power cut a row may be marked and not there."""

    def check(self, row: int) -> int:
        """The checksum of a row as it is now."""
        return zlib.crc32(self.moments[row].data, zlib.crc32(self.images[row].data))


def open_partial(folder: Path, count: int, side: int) -> Partial:
    """The arrays as the last run left them, or new ones of full size.

    What it marked as done and is not there, or lacks its reason, is marked to be done again.

    Raises:
        OSError: there is no room for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "images": ((count, side, side, 3), np.uint8),
        "moments": ((count, 9), np.float64),
        "done": ((count,), np.uint8),
        "checks": ((count,), np.uint32),
    }
    arrays = {name: _open_array(folder / f"{name}.npy", *shape) for name, shape in shapes.items()}
    partial = Partial(folder, **arrays)
    _distrust(partial)
    return partial


def _distrust(partial: Partial) -> None:
    for row in np.flatnonzero(partial.done == KEPT):
        if partial.check(int(row)) != partial.checks[row]:
            partial.done[row] = TODO
    reasons = read_reasons(partial)
    for row in np.flatnonzero(partial.done == REFUSED):
        if int(row) not in reasons:
            partial.done[row] = TODO


def _open_array(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """A memory-mapped array; its room is taken at once, so that a full disk is no crash later."""
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    if (array := _mapped(path, shape, dtype)) is not None:
        return array
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(
            errno.ENOSPC, f"it needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free"
        )
    try:
        _allocate(aside, shape, dtype)
        fsync(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="r+")


def _mapped(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray | None:
    """The array that is there; None where none is, or what a power cut has left of one."""
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


def read_reasons(partial: Partial) -> dict[int, str]:
    """Why rows were refused, by row."""
    path = partial.folder / LOG
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    return dict(_reason(line) for line in lines)


def _reason(line: str) -> tuple[int, str]:
    """Row and reason of a line of the log; -1 for one that a kill has torn."""
    try:
        entry = json.loads(line)
        return entry["row"], entry["reason"]
    except (ValueError, TypeError, KeyError):
        return -1, ""
