"""MATLAB's .mat files, which the published splits of two data sets come in."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from alexnet.errors import DataError
from alexnet.io.files import read_regular
from alexnet.io.isolated import read_in_subprocess
from alexnet.io.limits import MAX_MAT_BYTES, MAX_MAT_UNPACKED_BYTES

HEADER_BYTES = 128
COMPRESSED = 15
"""The kind of an element that is packed."""


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .mat file by their names; a field of a struct is "struct.field".

    Raises:
        DataError: scipy is not installed, or the file cannot be read or unpacks to too much.
    """
    if not _has_scipy():
        raise DataError(f"reading {path} needs scipy: pip install alexnet[scipy]")
    try:
        _check_unpacked(read_regular(path, MAX_MAT_BYTES))
        return read_in_subprocess(f"{__name__}:variables", path)
    except (OSError, ValueError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read as a .mat file: {reason}") from error


def _has_scipy() -> bool:
    try:
        return find_spec("scipy.io") is not None
    except ModuleNotFoundError:
        return False


def variables(path: Path) -> dict[str, np.ndarray]:
    """What scipy reads, as arrays of numbers or text; all else is left out."""
    from scipy.io import loadmat

    found: dict[str, np.ndarray] = {}
    for name, array in loadmat(path, squeeze_me=True).items():
        fields: Sequence[str] = getattr(getattr(array, "dtype", None), "names", None) or ()
        found |= {f"{name}.{field}": _plain(array[field]) for field in fields}
        if not fields:
            found[name] = np.asarray(array)
    return {name: array for name, array in found.items() if array.dtype.kind in "iufU"}


def _plain(column: np.ndarray) -> np.ndarray:
    """A column of a struct, which holds objects, as numbers or text where that is what they are."""
    try:
        return np.array(column.tolist()) if column.dtype.kind == "O" else column
    except ValueError:  # of several lengths, such as ImageNet's lists of children
        return column


def _check_unpacked(content: bytes) -> None:
    """Refuse a file whose packed elements hold much more than a list of numbers does."""
    is_big = content[126:128] == b"MI"
    at, unpacked_bytes = HEADER_BYTES, 0
    while at + 8 <= len(content):
        head = np.frombuffer(content, ">u4" if is_big else "<u4", 2, at)
        kind, size = (int(number) for number in head)
        if kind == COMPRESSED:
            packed = content[at + 8 : at + 8 + size]
            unpacked_bytes += len(zlib.decompressobj().decompress(packed, MAX_MAT_UNPACKED_BYTES))
        if unpacked_bytes >= MAX_MAT_UNPACKED_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_MAT_UNPACKED_BYTES:,} bytes")
        at += 8 + size
