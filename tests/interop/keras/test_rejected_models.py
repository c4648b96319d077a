"""Keras models that no architecture here has, and files that are not as Keras writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from alexnet.errors import ModelFileError
from alexnet.interop.match import MatchedModel
from support.keras_files import (
    Config,
    KerasLayer,
    config_of,
    layer,
    model,
    save_archive,
    save_hdf5,
    write_keras3,
)

Layers = list[KerasLayer]
Read = Callable[[Path], MatchedModel]
SHAPE = (32, 32, 1)


def set_option(index: int, **options: Any) -> Callable[[Layers], None]:
    return lambda layers: layers[index].options.update(options)


def insert(index: int, one: KerasLayer) -> Callable[[Layers], None]:
    return lambda layers: layers.insert(index, one)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            insert(1, layer("Lambda", "lrn")),
            "has the layer Lambda 'lrn', whose Python code is not run; in Keras, model.export",
        ),
        (insert(1, layer("SeparableConv2D", "s")), "has the layer SeparableConv2D 's', which no"),
        (
            insert(2, layer("Rescaling", "r", scale=2.0)),
            "has the layer Rescaling 'r' after the first layer of the network",
        ),
        (set_option(0, dilation_rate=[2, 2]), r"Conv2D 'conv2d' has dilation_rate \[2, 2\]"),
        (set_option(0, kernel_size=[5, 3]), "its kernel_size is \\[5, 3\\]; only square ones"),
        (set_option(0, strides=[2, 2]), "conv1 should have stride 1, but Conv2D 'conv2d' has 2"),
        (set_option(0, padding="same"), "conv1 should have padding 0, but Conv2D 'conv2d' has 2"),
        (set_option(0, padding="causal"), "Conv2D 'conv2d' cannot be imported: its padding is"),
        (set_option(0, groups=7), "conv1 should have groups 1, but Conv2D 'conv2d' has 7"),
        (
            set_option(1, padding="same", pool_size=[4, 4], strides=[4, 4]),
            "pool1 should have size 2, but AveragePooling2D 'average_pooling2d' has 4",
        ),
        (
            set_option(1, padding="same", strides=[1, 1]),
            "AveragePooling2D 'average_pooling2d' cannot be imported: its padding 'same' adds",
        ),
        (
            set_option(
                0, dtype={"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_a"}}
            ),
            r"Conv2D 'conv2d' is quantized \('int8_a'\)",
        ),
        (
            insert(1, layer("ZeroPadding2D", "z", padding=[[1, 1], [1, 1]])),
            "ZeroPadding2D 'z' stands before AveragePooling2D 'average_pooling2d'",
        ),
        (
            insert(1, layer("ZeroPadding2D", "z", padding=[[1, 1], [2, 2]])),
            "'z' cannot be imported",
        ),
        (insert(5, layer("Permute", "p", dims=[2, 1, 3])), "'p' cannot be imported: it permutes"),
        (insert(5, layer("Reshape", "r", target_shape=[2, 3])), "'r' cannot be imported: it makes"),
        (
            insert(1, layer("BatchNormalization", "b", axis=1, epsilon=1e-3, momentum=0.99)),
            "'b' cannot be imported: its axis is 1, and the channels are 3",
        ),
        (insert(1, layer("LeakyReLU", "l")), r"expected pool1 \(pool\), but found LeakyReLU 'l'"),
        (insert(1, layer("ReLU", "l", max_value=6.0)), r"but found ReLU 'l' \(relu max_value=6\)"),
        (
            set_option(7, activation="sigmoid"),
            "the file has Dense 'dense_1' activation 'sigmoid' after fc5",
        ),
        (lambda layers: layers.pop(5), r"expected flatten \(flatten\), but found Dense 'dense'"),
        (lambda layers: layers[0].arrays.clear(), "the file has no weight for conv1"),
        (lambda layers: layers[0].arrays.pop("bias"), "layers/conv2d has 1 arrays, expected 2"),
    ],
)
def test_what_no_architecture_has(
    tmp_path: Path,
    lenet5: Layers,
    read_lenet5: Read,
    change: Callable[[Layers], None],
    message: str,
) -> None:
    change(lenet5)
    path = save_archive(tmp_path / "other.keras", config_of(lenet5, SHAPE), lenet5)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_lenet5(path)
    assert "other.keras" in str(caught.value)
    assert "\n" not in str(caught.value)


def references(entry: Config, *sources: str) -> None:
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}}
        for source in sources
    ]
    entry["inbound_nodes"] = [{"args": [tensors], "kwargs": {}}]


def branch(options: Config) -> None:
    references(options["layers"][3], "conv2d", "average_pooling2d")


def twice(options: Config) -> None:
    options["layers"][3]["inbound_nodes"] *= 2


def two_outputs(options: Config) -> None:
    options["output_layers"] = [["dense", 0, 0], ["dense_1", 0, 0]]


def two_inputs(options: Config) -> None:
    options["input_layers"] = [["images", 0, 0], ["dense", 0, 0]]


def dead_end(options: Config) -> None:
    options["layers"][4]["inbound_nodes"] = []


def circle(options: Config) -> None:
    references(options["layers"][4], "dense")
    references(options["layers"][1], "images", "conv2d_1")
    options["output_layers"] = ["nowhere", 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            branch,
            "branches after Conv2D 'conv2d', whose output goes to AveragePooling2D "
            "'average_pooling2d' and Conv2D 'conv2d_1'; only a chain of layers",
        ),
        (twice, "applies Conv2D 'conv2d_1' 2 times; only a chain"),
        (two_outputs, "has 2 outputs; only one is supported"),
        (two_inputs, "has 2 inputs; only one is supported"),
        (dead_end, "nothing takes the output of Conv2D 'conv2d_1'"),
        (circle, "cannot be read as a Keras file"),
        (lambda options: options["layers"][2].update(name="other"), "cannot be read as a Keras"),
    ],
)
def test_functional_models_that_are_no_chain(
    tmp_path: Path,
    lenet5: Layers,
    read_lenet5: Read,
    change: Callable[[Config], None],
    message: str,
) -> None:
    config = config_of(lenet5, SHAPE, "Functional")
    change(config["config"])
    with pytest.raises(ModelFileError, match=message):
        read_lenet5(save_archive(tmp_path / "f.keras", config, lenet5))


def test_a_model_of_python_code(tmp_path: Path, lenet5: Layers, read_lenet5: Read) -> None:
    path = save_archive(tmp_path / "m.keras", {"class_name": "MyNet", "config": {}}, lenet5)
    with pytest.raises(ModelFileError, match="is a MyNet model, not a Sequential or Functional"):
        read_lenet5(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((32, 40, 1), "takes images of 32x40 pixels; only square ones are supported"),
        ((32, 32, 4), "takes images of 4 channels, not of 1 or 3"),
        ((784,), r"has the input \[None, 784\], and not one of images"),
    ],
)
def test_inputs_that_are_not_supported(
    tmp_path: Path, lenet5: Layers, read_lenet5: Read, shape: tuple[int, ...], message: str
) -> None:
    path = save_archive(tmp_path / "m.keras", config_of(lenet5, shape), lenet5)
    with pytest.raises(ModelFileError, match=message):
        read_lenet5(path)


def test_a_text_that_is_no_config(tmp_path: Path, lenet5: Layers, read_lenet5: Read) -> None:
    path = save_hdf5(tmp_path / "m.h5", {}, lenet5)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps([1])
    with pytest.raises(ModelFileError, match="cannot be read as a Keras file"):
        read_lenet5(path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = 1 << 40
    with pytest.raises(ModelFileError, match="an attribute in it is not a text"):
        read_lenet5(path)


def test_a_model_inside_itself(tmp_path: Path, lenet5: Layers, read_lenet5: Read) -> None:
    path = save_archive(tmp_path / "m.keras", config_of(lenet5, SHAPE), lenet5)
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        write_keras3(file, lenet5)
        file["layers/sequential"] = file["layers"]
        file["layers/sequential/layers"] = file["layers"]
    with pytest.raises(ModelFileError, match="its models are nested too deep"):
        read_lenet5(tmp_path / "w.weights.h5")
    deep = lenet5
    for i in range(12):
        deep = [model(f"m{i}", deep)]
    path = save_archive(tmp_path / "m.keras", config_of(deep, SHAPE), lenet5)
    with pytest.raises(ModelFileError, match="its models are nested too deep"):
        read_lenet5(path)
