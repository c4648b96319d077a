"""Read the arrays of Keras 3's weight files, which are HDF5.

It runs in a process of its own, since HDF5 is a C library; so it imports no torch.
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

WEIGHTS_MEMBER = "model.weights.h5"
"""The weights inside a `.keras` archive."""
LAYER_TYPES = ("conv2d", "dense", "batch_normalization")
"""Names that Keras gives to the groups of layers with weights."""


def keras_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of every layer, in the network's order.

    "conv2d/1/0" is the first array of the second convolution, and "conv2d/1" the number of its
    arrays.

    Raises:
        ValueError, OSError, KeyError and others: the file is damaged or not written by Keras 3.
    """
    with open_regular(path) as file:
        if path.suffix != ".keras":
            return _read_hdf5(file)
        with open_zip(file) as archive:
            return _read_hdf5(
                io.BytesIO(read_member(archive, WEIGHTS_MEMBER, MAX_KERAS_WEIGHTS_BYTES))
            )


def read_member(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    """The content of a member of a zip archive.

    Raises:
        ValueError: it is larger than `max_bytes`.
    """
    size = archive.getinfo(name).file_size
    if size > max_bytes:
        raise ValueError(f"its {name} has {size:,} bytes; at most {max_bytes:,} are allowed")
    with archive.open(name) as file:
        return file.read(max_bytes)


def _read_hdf5(file: IO[bytes]) -> dict[str, np.ndarray]:
    import h5py

    arrays: dict[str, np.ndarray] = {}
    counts, bytes_left = dict.fromkeys(LAYER_TYPES, 0), MAX_KERAS_WEIGHTS_BYTES
    with h5py.File(file, "r") as root:
        if "layers" not in root:
            raise ValueError(
                "it has no group `layers`; save the weights with Keras 3: "
                "model.save_weights('x.weights.h5')"
            )
        layers = _member(h5py, root, "layers")
        for _, layer_type, name in sorted(_weighted_layers(layers)):
            values = _member(h5py, _member(h5py, layers, name), "vars")
            datasets = [_dataset(h5py, values, str(i)) for i in range(len(values))]
            bytes_left -= sum(prod(d.shape) * max(4, d.dtype.itemsize) for d in datasets)
            if bytes_left < 0:
                raise ValueError(f"it has more than {MAX_KERAS_WEIGHTS_BYTES:,} bytes of weights")
            key = f"{layer_type}/{counts[layer_type]}"
            arrays[key] = np.array(len(datasets))
            for i, dataset in enumerate(datasets):
                arrays[f"{key}/{i}"] = np.asarray(dataset[()], dtype=np.float32)
            counts[layer_type] += 1
    return arrays


def _weighted_layers(layers: Any) -> Iterator[tuple[int, str, str]]:
    """(number, type, name) of the layers with weights: "conv2d" is number 0, "conv2d_1" is 1."""
    for name in layers:
        layer_type, _, number = name.rpartition("_")
        if name in LAYER_TYPES:
            yield 0, name, name
        elif layer_type in LAYER_TYPES and number.isdecimal():
            yield int(number), layer_type, name


def _member(h5py: Any, group: Any, name: str) -> Any:
    """A member of a group; links are rejected, since they may lead to other files."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is a link")
    return group[name]


def _dataset(h5py: Any, group: Any, name: str) -> Any:
    """An array of numbers that is stored in this very file, in chunks of moderate size."""
    dataset = _member(h5py, group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"{group.name}/{name} is not an array in this file")
    if dataset.dtype.kind not in "fiu":
        raise ValueError(f"{group.name}/{name} is not an array of numbers")
    if prod(dataset.chunks or ()) * dataset.dtype.itemsize > MAX_KERAS_CHUNK_BYTES:
        raise ValueError(f"{group.name}/{name} has chunks of {dataset.chunks}, which are too large")
    return dataset
