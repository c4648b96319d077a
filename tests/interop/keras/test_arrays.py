"""The arrays of Keras's weight files, and HDF5 that leads elsewhere or asks for much memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from alexnet.interop.keras.arrays import keras_arrays
from alexnet.interop.keras.weights import stored_layers


def array(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    """Three convolutions, the third of which is the tenth that Keras counts, and a dense layer."""
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        for i, name in enumerate(("conv2d", "conv2d_2", "conv2d_10", "dense")):
            file[f"layers/{name}/vars/0"] = array(i, 3, 6)
            file[f"layers/{name}/vars/1"] = array(i + 10, 6)
        file.create_group("layers/max_pooling2d/vars")
    return path


def test_layers_are_in_the_networks_order(weights_file: Path) -> None:
    arrays = keras_arrays(weights_file)
    convolutions = [stored for stored in stored_layers(arrays) if stored.layer_type == "conv2d"]
    assert [stored.path for stored in convolutions] == [
        f"layers/conv2d{number}" for number in ("", "_2", "_10")
    ]
    for i, stored in enumerate(convolutions):
        np.testing.assert_array_equal(stored.variables["0"], array(i, 3, 6))
    np.testing.assert_array_equal(arrays["layers/dense/vars/1"], array(13, 6))


def test_a_keras_archive_has_the_same_arrays(weights_file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.write(weights_file, "model.weights.h5")
    direct, inside = keras_arrays(weights_file), keras_arrays(tmp_path / "net.keras")
    assert list(direct) == list(inside)
    assert all(np.array_equal(direct[name], inside[name]) for name in direct)


def link(file: h5py.File) -> None:
    del file["layers/conv2d/vars/1"]
    file["layers/conv2d/vars/1"] = h5py.ExternalLink("/etc/passwd", "x")


def group_link(file: h5py.File) -> None:
    del file["layers/conv2d/vars"]
    file["layers/conv2d/vars"] = h5py.ExternalLink("elsewhere.h5", "x")


def virtual(file: h5py.File) -> None:
    del file["layers/conv2d/vars/1"]
    layout = h5py.VirtualLayout((6,), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", (6,))
    file["layers/conv2d/vars"].create_virtual_dataset("1", layout)


def huge(file: h5py.File) -> None:
    del file["layers/conv2d/vars/1"]
    file["layers/conv2d/vars"].create_dataset("1", (1 << 33,), "f4", chunks=(1 << 20,))


def in_huge_chunks(file: h5py.File) -> None:
    del file["layers/conv2d/vars/1"]
    file["layers/conv2d/vars"].create_dataset(
        "1", (6,), "f4", chunks=(1 << 28,), maxshape=(None,), compression="gzip"
    )


def text(file: h5py.File) -> None:
    del file["layers/conv2d/vars/1"]
    file["layers/conv2d/vars/1"] = "words"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (link, "layers/conv2d/vars/1 is a link"),
        (group_link, "layers/conv2d/vars is a link"),
        (virtual, "layers/conv2d/vars/1 is not an array in this file"),
        (huge, "it has more than 1,073,741,824 bytes of weights"),
        (in_huge_chunks, r"has chunks of \(268435456,\), which are too large"),
        (text, "layers/conv2d/vars/1 is not an array of numbers"),
        (lambda file: file.move("layers", "layers_of_mine"), "it has no group `layers`"),
    ],
)
def test_what_is_not_read(
    weights_file: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    with h5py.File(weights_file, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message):
        keras_arrays(weights_file)
