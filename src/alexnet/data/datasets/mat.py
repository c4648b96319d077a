"""MATLAB's .mat files, in which the splits or class numbers of two data sets are published.

They are read from the user's own copy, beside the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.errors import DataError
from alexnet.io.files import read_regular
from alexnet.io.isolated import read_in_subprocess
from alexnet.io.limits import MAX_MAT_BYTES, MAX_MAT_UNPACKED_BYTES
from alexnet.io.text import error_text
from alexnet.runtime.extras import require_extra

MEMORY_BYTES = 1 << 30
"""Memory limit of the process that reads the file; most of it is scipy's own address space."""


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .mat file by their names; a field of a struct is "struct.field".

    Raises:
        UsageError: scipy is not installed.
        DataError: the file cannot be read, or is larger than MAX_MAT_BYTES.
    """
    require_extra("scipy", "scipy", f"reading {path}")
    try:
        read_regular(path, MAX_MAT_BYTES)
        return read_in_subprocess(f"{__name__}:load_mat_arrays", path, memory_bytes=MEMORY_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a .mat file: {error_text(error)}") from error


def load_mat_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of numbers or text that scipy reads; everything else is left out.

    Raises:
        ValueError: they have more than MAX_MAT_UNPACKED_BYTES.
    """
    from scipy.io import loadmat

    found: dict[str, np.ndarray] = {}
    for name, array in loadmat(path, squeeze_me=True).items():
        if name.startswith("__"):  # scipy's notes on the file
            continue
        fields: Sequence[str] = getattr(getattr(array, "dtype", None), "names", None) or ()
        found |= {f"{name}.{field}": _without_objects(array[field]) for field in fields}
        if not fields:
            found[name] = np.asarray(array)
    arrays = {name: array for name, array in found.items() if array.dtype.kind in "iufU"}
    if sum(array.nbytes for array in arrays.values()) > MAX_MAT_UNPACKED_BYTES:
        raise ValueError(f"its arrays have more than {MAX_MAT_UNPACKED_BYTES:,} bytes")
    return arrays


def _without_objects(column: np.ndarray) -> np.ndarray:
    """A column of a struct, which holds objects, as numbers or text where it can be."""
    try:
        return np.array(column.tolist()) if column.dtype.kind == "O" else column
    except ValueError:  # of several lengths, such as ImageNet's lists of children
        return column
