"""Read what numpy.save and numpy.savez wrote, without unpickling objects by their classes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from alexnet.checkpoints.inert_pickle import InertUnpickler
from alexnet.checkpoints.stored_tensors import StoredArray
from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_NPZ_BYTES


@contextmanager
def open_npy(path: Path) -> Iterator[object]:
    """The content of a `.npy` file: an array, or the object inside, mostly a dict of arrays.

    Raises:
        ValueError, OSError and others: the file is damaged.
    """
    with open_regular(path) as file:
        yield _read_array(file)


@contextmanager
def open_npz(path: Path) -> Iterator[object]:
    """The arrays of an `.npz` file, which may be compressed, by their names.

    Raises:
        ValueError, OSError and others: the file is damaged, or unpacks to too much.
    """
    with open_regular(path) as file, open_zip(file) as archive:
        unpacked_bytes = sum(member.file_size for member in archive.infolist())
        if unpacked_bytes > MAX_NPZ_BYTES:
            raise ValueError(
                f"it unpacks to {unpacked_bytes:,} bytes; at most {MAX_NPZ_BYTES:,} are read"
            )
        yield {
            name.removesuffix(".npy"): _read_array(io.BytesIO(archive.read(name)))
            for name in archive.namelist()
        }


def _read_array(file: IO[bytes]) -> object:
    """Read one array with its header; an array of objects is unpickled without running code."""
    read_header = (
        np.lib.format.read_array_header_1_0
        if np.lib.format.read_magic(file) == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read_header(file)
    if dtype.hasobject:
        return InertUnpickler(file).load()
    array = StoredArray()
    size_bytes = prod(shape) * dtype.itemsize
    if size_bytes > MAX_NPZ_BYTES:
        raise ValueError(f"its array has {size_bytes:,} bytes; at most {MAX_NPZ_BYTES:,} are read")
    array.size, array.dtype, array.is_fortran = tuple(shape), dtype.str, is_fortran
    array.data = file.read(size_bytes)
    return array
