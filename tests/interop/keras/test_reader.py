"""Keras files of the notebook's net: the goldens, and other networks."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from alexnet.errors import AlexNetError, ModelFileError
from alexnet.interop.importer import build_network, import_model
from alexnet.interop.keras.arrays import keras_arrays
from alexnet.interop.keras.reader import read_keras
from alexnet.interop.match import MatchedModel
from alexnet.interop.parity import torch_runner
from alexnet.models.zoo import ZOO
from support.counts import num_parameters

ATOL = 5e-4
ARCH = ZOO["alexnet_notebook"]


def read_here(path: Path, input_size: int | None = None) -> MatchedModel:
    """Reads the arrays in this process, which saves a third of a second a file."""
    return read_keras(path, ARCH, input_size, read_arrays=lambda reader, path: keras_arrays(path))


@pytest.fixture
def goldens(shared: Path) -> Path:
    return shared / "goldens" / "notebook_net"


def golden_input() -> np.ndarray:
    """The two images of `mini_small.npz`, as its README makes them: float32 [2, 3, 247, 247]."""
    random = np.random.RandomState(6)
    coarse = random.uniform(0, 1, (2, 8, 8, 3)).repeat(32, 1).repeat(32, 2)
    x = np.clip(0.8 * coarse + 0.2 * random.uniform(0, 1, coarse.shape), 0, 1)
    x = np.round(x.astype(np.float32)[:, :247, :247] * 255) / 255
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), dtype=np.float32)


@pytest.mark.parametrize(("file", "size"), [("mini.keras", None), ("mini.weights.h5", 247)])
def test_the_goldens_logits(goldens: Path, file: str, size: int | None) -> None:
    matched = read_here(goldens / file, size)
    assert matched.architecture.input == (3, 247, 247)
    network = build_network(matched)
    assert num_parameters(network) == 39_469
    with np.load(goldens / "mini_small.npz") as golden:
        logits = golden["logits"]
    assert np.abs(logits).max() > 1
    np.testing.assert_allclose(torch_runner(network)(golden_input()), logits, rtol=0, atol=ATOL)


def test_the_two_files_are_one_net(goldens: Path) -> None:
    """Weights alone do not tell the input: the smallest that leaves a 2 x 2 map is taken."""
    whole, alone = (read_here(goldens / f) for f in ("mini.keras", "mini.weights.h5"))
    assert alone.architecture.input == (3, 247, 247)
    assert whole.architecture == alone.architecture
    assert list(whole.weights) == list(alone.weights)
    assert all(bool((whole.weights[n] == alone.weights[n]).all()) for n in whole.weights)


def test_it_becomes_a_model(goldens: Path, tmp_path: Path) -> None:
    from alexnet.inference.classifier import load

    names = tuple(f"flower {i}" for i in range(17))
    imported = import_model(goldens / "mini.keras", "alexnet_notebook", class_names=names)
    assert imported.parity is None
    imported.save(tmp_path / "mini.safetensors")
    classifier = replace(load(tmp_path / "mini.safetensors", "cpu"), precision="float32")
    found = classifier.info.preprocessing
    assert (found.resize, found.resize_size, found.std) == ("stretch", 247, (255, 255, 255))
    pixels = np.round(golden_input().transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    with np.load(goldens / "mini_small.npz") as golden:
        np.testing.assert_allclose(classifier.probabilities(pixels), golden["prob"], atol=ATOL)


@pytest.mark.parametrize("file", ["mini.keras", "mini.weights.h5"])
def test_the_arrays_come_from_another_process(goldens: Path, file: str) -> None:
    here = read_here(goldens / file)
    there = read_keras(goldens / file, ARCH)
    assert there.architecture == here.architecture
    assert all(bool((here.weights[name] == there.weights[name]).all()) for name in here.weights)


LayerConfig = dict[str, Any]


def with_layers(source: Path, target: Path, change: Callable[[list[LayerConfig]], None]) -> Path:
    """A `.keras` file with its list of layers changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        config = json.loads(old.read("config.json"))
        change(config["config"]["layers"])
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    return target


def to_lambda(layers: list[LayerConfig]) -> None:
    layers[5] = {
        "class_name": "Lambda",
        "config": {"name": "evil", "function": {"class_name": "__lambda__", "config": {}}},
    }


def drop_last(layers: list[LayerConfig]) -> None:
    del layers[-2:]


def set_option(index: int, name: str, value: object) -> Callable[[list[LayerConfig]], None]:
    def change(layers: list[LayerConfig]) -> None:
        layers[index]["config"][name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (to_lambda, "has the layer Lambda 'evil', whose Python code is not run; in Keras, model"),
        (drop_last, "the file ends where fc8 should be"),
        (lambda layers: layers.pop(4), r"expected bn1 \(batch_norm\), but found Conv2D 'conv2d_1'"),
        (
            set_option(5, "strides", [2, 2]),
            "conv2 should have stride 1, but Conv2D 'conv2d_1' has 2",
        ),
        (
            set_option(5, "padding", "same"),
            "conv2 should have padding 0, but Conv2D 'conv2d_1' has 5",
        ),
        (
            set_option(1, "padding", "same"),
            "conv1 should have padding 0, but Conv2D 'conv2d' has 4",
        ),
        (set_option(2, "activation", "tanh"), "relu1 should have function relu, but .* has tanh"),
        (set_option(4, "epsilon", 1e-5), r"bn1 should have eps 0\.001, but .* has 1e-05"),
        (set_option(5, "filters", 20), r"conv2\.weight has shape 16x6x11x11, expected 20x6x11x11"),
        (set_option(0, "batch_shape", [None, 150, 150, 3]), "the input is too small: conv4 has an"),
        (set_option(1, "kernel_size", "wide"), "its kernel_size is 'wide'; only square ones"),
        (lambda layers: layers.append({}), "cannot be read as a Keras file"),
    ],
)
def test_another_net_is_rejected(
    goldens: Path, tmp_path: Path, change: Callable[[list[LayerConfig]], None], message: str
) -> None:
    path = with_layers(goldens / "mini.keras", tmp_path / "other.keras", change)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_here(path)
    assert "other.keras" in str(caught.value)
    assert "\n" not in str(caught.value)


def with_arrays(goldens: Path, target: Path, change: Callable[[h5py.File], None]) -> Path:
    shutil.copyfile(goldens / "mini.weights.h5", target)
    with h5py.File(target, "r+") as file:
        change(file)
    return target


def wrong_kernel(file: h5py.File) -> None:
    del file["layers/conv2d_1/vars/0"]
    file["layers/conv2d_1/vars/0"] = np.zeros((5, 5, 6, 16), np.float32)


def no_last_conv(file: h5py.File) -> None:
    del file["layers/conv2d_4"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong_kernel, r"conv2\.weight has shape 16x6x5x5, expected 16x6x11x11"),
        (no_last_conv, "it has 4 conv2d layers, expected 5"),
        (
            lambda file: file.move("layers", "layers_of_mine"),
            "cannot be read as a Keras file: it has",
        ),
    ],
)
def test_other_weights_are_rejected(
    goldens: Path, tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    path = with_arrays(goldens, tmp_path / "other.weights.h5", change)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_here(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["mini.keras", "mini.weights.h5"])
def test_a_truncated_file_is_named(goldens: Path, tmp_path: Path, file: str) -> None:
    whole = (goldens / file).read_bytes()
    for fraction in (0.0, 0.01, 0.3, 0.6, 0.99):
        path = tmp_path / f"cut-{file}"
        path.write_bytes(whole[: int(fraction * len(whole))])
        with pytest.raises(ModelFileError, match="cut-mini") as caught:
            read_here(path)
        assert "\n" not in str(caught.value)


def test_flipped_bytes_raise_nothing_else(goldens: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    whole, num_rejected = (goldens / "mini.weights.h5").read_bytes(), 0
    for _ in range(40):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[random.integers(0, len(whole), 60)] = random.integers(0, 256, 60)
        damaged[random.integers(0, 4000, 10)] = random.integers(0, 256, 10)
        (tmp_path / "bad.weights.h5").write_bytes(damaged.tobytes())
        try:
            read_here(tmp_path / "bad.weights.h5")
        except AlexNetError:
            num_rejected += 1
    assert num_rejected > 20


def test_a_small_zip_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (5 << 20))
        archive.writestr("model.weights.h5", b"")
    assert (tmp_path / "bomb.keras").stat().st_size < 20_000
    message = r"its config\.json has 5,242,880 bytes; at most 4,194,304 are allowed"
    with pytest.raises(ModelFileError, match=message):
        read_here(tmp_path / "bomb.keras")


def test_weights_are_transposed_and_statistics_not_swapped(goldens: Path) -> None:
    matched = read_here(goldens / "mini.keras")
    with h5py.File(goldens / "mini.weights.h5") as file:
        mean = file["layers/batch_normalization/vars/2"][()]
        dense = file["layers/dense/vars/0"][()]
    np.testing.assert_array_equal(matched.weights["bn1.running_mean"].numpy(), mean)
    np.testing.assert_array_equal(matched.weights["fc6.weight"].numpy(), dense.T)
