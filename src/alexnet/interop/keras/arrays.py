"""The arrays in Keras 3's weight files: HDF5, which is read in a process of its own.

This module runs there; it needs no torch.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_KERAS_CHUNK_BYTES, MAX_KERAS_WEIGHTS_BYTES

WEIGHTS = "model.weights.h5"
KINDS = ("conv2d", "dense", "batch_normalization")
"""Keras's groups of arrays."""


def keras_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of every layer in the net's order: "conv2d/1/0" is the first of the second one.

    "conv2d/1" is how many it has.

    Raises:
        ValueError, OSError, KeyError and others: the file is damaged or not of Keras 3.
    """
    with open_regular(path) as file:
        if path.suffix != ".keras":
            return _arrays(file)
        with open_zip(file) as archive:
            return _arrays(io.BytesIO(member(archive, WEIGHTS, MAX_KERAS_WEIGHTS_BYTES)))


def member(archive: zipfile.ZipFile, name: str, largest_bytes: int) -> bytes:
    """A member of a zip archive.

    Raises:
        ValueError: it is larger than that.
    """
    size = archive.getinfo(name).file_size
    if size > largest_bytes:
        raise ValueError(f"its {name} has {size:,} bytes; more than {largest_bytes:,} are not read")
    with archive.open(name) as file:
        return file.read(largest_bytes)


def _arrays(file: IO[bytes]) -> dict[str, np.ndarray]:
    import h5py

    found: dict[str, np.ndarray] = {}
    counts, room = dict.fromkeys(KINDS, 0), MAX_KERAS_WEIGHTS_BYTES
    with h5py.File(file, "r") as root:
        if "layers" not in root:
            raise ValueError(
                "it has no group `layers`; save the weights with Keras 3: "
                "model.save_weights('x.weights.h5')"
            )
        layers = _inside(h5py, root, "layers")
        for _, kind, name in sorted(_places(layers)):
            values = _inside(h5py, _inside(h5py, layers, name), "vars")
            own = [_array(h5py, values, str(i)) for i in range(len(values))]
            room -= sum(prod(dataset.shape) * max(4, dataset.dtype.itemsize) for dataset in own)
            if room < 0:
                raise ValueError(f"it has more than {MAX_KERAS_WEIGHTS_BYTES:,} bytes of weights")
            place = f"{kind}/{counts[kind]}"
            found[place] = np.array(len(own))
            for i, dataset in enumerate(own):
                found[f"{place}/{i}"] = np.asarray(dataset[()], dtype=np.float32)
            counts[kind] += 1
    return found


def _places(layers: Any) -> Iterator[tuple[int, str, str]]:
    """(number, kind, group) of the layers with weights: "conv2d" is 0, "conv2d_1" is 1."""
    for name in layers:
        kind, _, number = name.rpartition("_")
        if name in KINDS:
            yield 0, name, name
        elif kind in KINDS and number.isdecimal():
            yield int(number), kind, name


def _inside(h5py: Any, group: Any, name: str) -> Any:
    """What a name holds; links are not followed, since they may lead to other files."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is a link")
    return group[name]


def _array(h5py: Any, group: Any, name: str) -> Any:
    """An array whose numbers lie in this very file."""
    dataset = _inside(h5py, group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"{group.name}/{name} is not an array in this file")
    if dataset.dtype.kind not in "fiu":
        raise ValueError(f"{group.name}/{name} holds no numbers")
    if prod(dataset.chunks or ()) * dataset.dtype.itemsize > MAX_KERAS_CHUNK_BYTES:
        raise ValueError(f"{group.name}/{name} is kept in chunks of {dataset.chunks}")
    return dataset
