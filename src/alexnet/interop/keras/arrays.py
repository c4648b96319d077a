"""Read what Keras files hold: the config as text, and the arrays of the layers, which are HDF5.

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
from alexnet.io.limits import MAX_KERAS_CHUNK_BYTES, MAX_KERAS_WEIGHTS_BYTES, MAX_TEXT_BYTES

WEIGHTS_MEMBER = "model.weights.h5"
"""Member of a `.keras` archive that holds the weights."""
TEXT_MEMBERS = {"config": "config.json", "metadata": "metadata.json"}
"""Members of a `.keras` archive that are texts, by the name of their entry in `keras_arrays`."""
CONFIG_ATTRIBUTE = "model_config"
"""Attribute of an HDF5 file with the config of a whole model."""
METADATA = "alexnet"
"""Key in metadata.json, or name of a text in a file of weights alone, that our export adds."""
LAYER_GROUPS = ("layers", "_layer_checkpoint_dependencies")
"""Groups in which Keras 3 and Keras 2.13 store a model's layers."""
MAX_DEPTH = 20
"""Slashes that the path of a layer may have, since a group may contain itself."""
ZIP, HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
"""First bytes of zip and HDF5 files."""


def keras_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the texts and arrays in a file of Keras 2 or 3, in the file's own order of layers.

    "config" and "metadata" are UTF-8 texts as uint8. All other entries are arrays: Keras 3 numbers
    them ("layers/conv2d_1/vars/0" is the first array of the model's second convolution), and the
    HDF5 files of Keras 2 name them ("conv2d_1/conv2d_1/kernel:0").

    Raises:
        ValueError, OSError, KeyError and others: the file is damaged or not written by Keras.
    """
    with open_regular(path) as file:
        start = file.read(len(HDF5))
        file.seek(0)
        if start == HDF5:
            return _with_layers(_read_hdf5(file))
        if not start.startswith(ZIP):
            raise ValueError("it is neither a .keras archive nor HDF5")
        with open_zip(file) as archive:
            return _read_archive(archive)


def _with_layers(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not arrays:
        raise ValueError(
            "it has no group `layers`, so it is not of a Sequential or Functional model; save such "
            "a model with Keras: model.save('x.keras')"
        )
    return arrays


def _read_archive(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """The texts of a `.keras` archive and the arrays inside it."""
    names = archive.namelist()
    if WEIGHTS_MEMBER not in names:
        raise ValueError(f"it has no {WEIGHTS_MEMBER}; save it with model.save('x.keras')")
    texts = {
        key: _as_array(_read_member(archive, name, MAX_TEXT_BYTES))
        for key, name in TEXT_MEMBERS.items()
        if name in names
    }
    weights = _read_member(archive, WEIGHTS_MEMBER, MAX_KERAS_WEIGHTS_BYTES)
    return {**_read_hdf5(io.BytesIO(weights)), **texts}


def _read_member(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    size = archive.getinfo(name).file_size
    if size > max_bytes:
        raise ValueError(f"its {name} has {size:,} bytes; at most {max_bytes:,} are allowed")
    with archive.open(name) as file:
        return file.read(max_bytes)


def _as_array(text: bytes) -> np.ndarray:
    return np.frombuffer(text, np.uint8)


def _read_hdf5(file: IO[bytes]) -> dict[str, np.ndarray]:
    import h5py

    with h5py.File(file, "r") as root:
        reader = _Hdf5Reader(h5py)
        if CONFIG_ATTRIBUTE in root.attrs:
            reader.arrays["config"] = _as_array(_text(root.attrs[CONFIG_ATTRIBUTE]))
        if METADATA in root:
            reader.arrays["metadata"] = _text_dataset(_dataset(h5py, root, METADATA))
        legacy = _member(h5py, root, "model_weights") if "model_weights" in root else root
        if _names(legacy, "layer_names"):
            reader.read_legacy(legacy)
        else:
            reader.read_layers(root, "")
    return reader.arrays


class _Hdf5Reader:
    """A collector of the arrays of an HDF5 file, within a limit on their size."""

    def __init__(self, h5py: Any) -> None:
        self.h5py = h5py
        self.arrays: dict[str, np.ndarray] = {}
        self.bytes_left = MAX_KERAS_WEIGHTS_BYTES

    def read_layers(self, model: Any, path: str) -> None:
        """Read the arrays of a model, and of the models inside it, as Keras 3 stores them."""
        group = next((name for name in LAYER_GROUPS if name in model), None)
        if group is None:
            return
        if path.count("/") > MAX_DEPTH:
            raise ValueError("its models are nested too deep")
        layers = _member(self.h5py, model, group)
        for name in sorted(layers, key=_position):
            layer = _member(self.h5py, layers, name)
            layer_path = f"{path}layers/{name}"
            if not isinstance(layer, self.h5py.Group):
                raise ValueError(f"{layer.name} is not a group")
            if "vars" in layer:
                self.read_variables(_member(self.h5py, layer, "vars"), f"{layer_path}/vars")
            self.read_layers(layer, f"{layer_path}/")

    def read_variables(self, variables: Any, path: str) -> None:
        for i in range(len(variables)):
            self.add(f"{path}/{i}", _dataset(self.h5py, variables, str(i)))

    def read_legacy(self, layers: Any) -> None:
        """Read the arrays of a model by their names, as Keras 2 stores them."""
        for layer in _names(layers, "layer_names"):
            group = _member(self.h5py, layers, layer)
            for name in _names(group, "weight_names"):
                *folders, variable = name.split("/")
                folder = group
                for inner in folders:
                    folder = _member(self.h5py, folder, inner)
                self.add(f"{layer}/{name}", _dataset(self.h5py, folder, variable))

    def add(self, path: str, dataset: Any) -> None:
        self.bytes_left -= prod(dataset.shape) * max(4, dataset.dtype.itemsize)
        if self.bytes_left < 0:
            raise ValueError(f"it has more than {MAX_KERAS_WEIGHTS_BYTES:,} bytes of weights")
        self.arrays[path] = _values(dataset)


def _position(name: str) -> tuple[int, str]:
    """A sort key for layers: the number among those of the type, and the type, as (1, "conv2d")."""
    layer_type, _, number = name.rpartition("_")
    return (int(number), layer_type) if layer_type and number.isdecimal() else (0, name)


def _names(group: Any, attribute: str) -> list[str]:
    """The names in an attribute of Keras 2, which divides long lists ("layer_names0")."""
    parts = [attribute] if attribute in group.attrs else list(_numbered(group, attribute))
    return [_text(name).decode() for part in parts for name in np.ravel(group.attrs[part])]


def _numbered(group: Any, attribute: str) -> Iterator[str]:
    number = 0
    while (name := f"{attribute}{number}") in group.attrs:
        yield name
        number += 1


def _text(value: Any) -> bytes:
    """A text attribute, which h5py returns as str, bytes or numpy's bytes."""
    text = value.encode() if isinstance(value, str) else value
    if not isinstance(text, bytes):
        raise ValueError("an attribute in it is not a text")
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError(f"a text in it has {len(text):,} bytes; at most {MAX_TEXT_BYTES:,}")
    return text


def _text_dataset(dataset: Any) -> np.ndarray:
    if dataset.dtype != np.uint8 or dataset.size > MAX_TEXT_BYTES:
        raise ValueError(f"{dataset.name} is not a text of at most {MAX_TEXT_BYTES:,} bytes")
    return np.asarray(dataset[()])


def _member(h5py: Any, group: Any, name: str) -> Any:
    """A member of a group; links are rejected, since they may lead to other files."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is a link or missing")
    return group[name]


def _dataset(h5py: Any, group: Any, name: str) -> Any:
    """A data set of numbers; rejected if it is stored in another file or in too large chunks."""
    dataset = _member(h5py, group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"{group.name}/{name} is not an array in this file")
    if dataset.dtype.kind not in "fiu" and not _is_bfloat16(dataset):
        raise ValueError(f"{group.name}/{name} is not an array of numbers")
    if prod(dataset.chunks or ()) * dataset.dtype.itemsize > MAX_KERAS_CHUNK_BYTES:
        raise ValueError(f"{group.name}/{name} has chunks of {dataset.chunks}, which are too large")
    return dataset


def _is_bfloat16(dataset: Any) -> bool:
    """Whether a data set holds bfloat16, which Keras stores as opaque values of two bytes."""
    return bool(dataset.dtype.kind == "V" and dataset.dtype.itemsize == 2)


def _values(dataset: Any) -> np.ndarray:
    if _is_bfloat16(dataset):  # the upper half of a float32
        halves = np.ascontiguousarray(dataset[()]).view(np.uint16)
        return (halves.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(dataset[()], dtype=np.float32)
