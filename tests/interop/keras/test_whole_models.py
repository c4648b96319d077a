"""Whole models in the forms in which people have them: names, nesting, styles, layers between."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

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
    write_keras2,
    write_keras3,
)

Layers = list[KerasLayer]
Read = Callable[[Path], MatchedModel]
SHAPE = (32, 32, 1)


def assert_same(matched: MatchedModel, weights: dict[str, Tensor]) -> None:
    assert matched.weights.keys() == weights.keys()
    for name, tensor in matched.weights.items():
        assert torch.equal(tensor, weights[name]), name


@pytest.mark.parametrize("save", [save_archive, save_hdf5])
@pytest.mark.parametrize("style", ["keras3", "keras2"])
@pytest.mark.parametrize("class_name", ["Sequential", "Functional"])
def test_sequential_and_functional_models(
    tmp_path: Path,
    lenet5: Layers,
    weights: dict[str, Tensor],
    read_lenet5: Read,
    save: Callable[..., Path],
    style: Any,
    class_name: str,
) -> None:
    config = config_of(lenet5, SHAPE, class_name, style)
    matched = read_lenet5(save(tmp_path / "net.keras", config, lenet5))
    assert_same(matched, weights)
    assert matched.architecture.input == (1, 32, 32)
    assert (matched.preprocessing, matched.notes) == (None, ())


@pytest.mark.parametrize("save", [save_archive, save_hdf5])
def test_any_layer_names(
    tmp_path: Path,
    lenet5: Layers,
    weights: dict[str, Tensor],
    read_lenet5: Read,
    save: Callable[..., Path],
) -> None:
    names = ("conv-1", "pool.1", "2", "größe", "卷积 3", "a:b", "class", "\x1b[1m")
    for one, name in zip(lenet5, names, strict=True):
        one.options["name"] = name
    path = save(tmp_path / "net.keras", config_of(lenet5, SHAPE), lenet5)
    assert_same(read_lenet5(path), weights)
    lenet5[4].options["activation"] = "relu"
    save(path, config_of(lenet5, SHAPE), lenet5)
    with pytest.raises(
        ModelFileError, match="tanh3 should have function tanh, but Conv2D '卷积 3'"
    ):
        read_lenet5(path)


@pytest.mark.parametrize("save", [save_archive, save_hdf5])
@pytest.mark.parametrize("style", ["keras3", "keras2"])
@pytest.mark.parametrize("inner", ["Sequential", "Functional"])
def test_models_inside_a_model(
    tmp_path: Path,
    lenet5: Layers,
    weights: dict[str, Tensor],
    read_lenet5: Read,
    save: Callable[..., Path],
    style: Any,
    inner: str,
) -> None:
    """Layers of equal names inside and outside, whose arrays Keras 3 counts by model."""
    lenet5[4].options["name"] = "conv2d"
    layers = [model("backbone", lenet5[:4], inner), *lenet5[4:]]
    config = config_of(layers, SHAPE, "Functional", style)
    assert_same(read_lenet5(save(tmp_path / "net.keras", config, layers)), weights)


def test_layers_that_do_nothing_at_use(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read
) -> None:
    augmentation = model("augmentation", [layer("RandomFlip"), layer("RandomZoom")])
    lenet5.insert(7, layer("GaussianDropout", rate=0.1))
    lenet5.insert(3, layer("GaussianNoise", stddev=0.1))
    lenet5.insert(2, layer("Activation", activation="linear"))
    layers = [augmentation, *lenet5, layer("Dropout", rate=0.0)]
    matched = read_lenet5(save_archive(tmp_path / "n.keras", config_of(layers, SHAPE), layers))
    assert_same(matched, weights)
    (note,) = matched.notes
    assert note.endswith(
        ": RandomFlip 'randomflip', RandomZoom 'randomzoom', GaussianNoise 'gaussiannoise'"
    )


@pytest.mark.parametrize(
    "end",
    [
        [layer("Softmax", axis=-1)],
        [layer("Activation", activation="softmax")],
        [layer("Activation", activation={"class_name": "function", "config": "softmax"})],
        [],
    ],
)
def test_softmax_at_the_end_and_activations_as_layers(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read, end: Layers
) -> None:
    lenet5[-1].options["activation"] = "linear"
    lenet5[0].options["activation"] = None
    tanh = {"class_name": "Activation", "config": {"activation": "tanh"}}
    lenet5[2].options["activation"] = tanh
    layers = [lenet5[0], layer("Activation", "a", activation="tanh"), *lenet5[1:], *end]
    matched = read_lenet5(save_archive(tmp_path / "n.keras", config_of(layers, SHAPE), layers))
    assert_same(matched, weights)


@pytest.mark.parametrize("path", ["w.weights.h5", "w.h5", "w.hdf5"])
@pytest.mark.parametrize("write", [write_keras3, write_keras2])
def test_weights_alone(
    tmp_path: Path,
    lenet5: Layers,
    weights: dict[str, Tensor],
    read_lenet5: Read,
    write: Callable[..., None],
    path: str,
) -> None:
    with h5py.File(tmp_path / path, "w") as file:
        write(file, lenet5)
    matched = read_lenet5(tmp_path / path)
    assert_same(matched, weights)
    assert matched.preprocessing is None


def test_weights_of_nested_models_have_no_order(
    tmp_path: Path, lenet5: Layers, read_lenet5: Read
) -> None:
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        write_keras3(file, [model("backbone", lenet5[:4]), *lenet5[4:]])
    message = r"has conv2d layers in several models.* save the whole model with model\.save\("
    with pytest.raises(ModelFileError, match=message):
        read_lenet5(tmp_path / "w.weights.h5")


def test_keras_2_divides_long_lists_of_names(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read
) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_keras2(file, lenet5)
        names = file.attrs.pop("layer_names")
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:3], names[3:]
    assert_same(read_lenet5(tmp_path / "w.h5"), weights)


def test_bfloat16_and_float16_arrays(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read
) -> None:
    """HDF5 has no bfloat16: Keras writes two bytes of no type."""
    kernel = lenet5[0].arrays["kernel"]
    upper = np.ascontiguousarray(kernel).view(np.uint16)[..., 1::2].copy()
    lenet5[0].arrays["kernel"] = upper.view("V2")
    lenet5[2].arrays["kernel"] = lenet5[2].arrays["kernel"].astype(np.float16)
    matched = read_lenet5(save_archive(tmp_path / "n.keras", config_of(lenet5, SHAPE), lenet5))
    for name, dtype_bits in (("conv1.weight", 7), ("conv2.weight", 10)):
        difference = (matched.weights[name] / weights[name] - 1).abs().max()
        assert 0 < difference <= 2.0**-dtype_bits


def test_global_pooling_of_one_value_is_a_flatten(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read
) -> None:
    lenet5[5] = layer("GlobalAveragePooling2D", keepdims=False, data_format="channels_last")
    path = save_archive(tmp_path / "n.keras", config_of(lenet5, SHAPE), lenet5)
    assert_same(read_lenet5(path), weights)


@pytest.mark.parametrize("is_layer", [False, True])
def test_one_sigmoid_output_is_two_classes(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read, is_layer: bool
) -> None:
    last = lenet5[-1]
    last.options |= {"units": 1, "activation": "linear" if is_layer else "sigmoid"}
    last.arrays = {"kernel": last.arrays["kernel"][:, :1], "bias": last.arrays["bias"][:1]}
    layers = [*lenet5, layer("Activation", activation="sigmoid")] if is_layer else lenet5
    matched = read_lenet5(save_archive(tmp_path / "n.keras", config_of(layers, SHAPE), layers))
    assert matched.architecture.num_classes == 2
    weight = matched.weights["fc5.weight"]
    assert torch.equal(
        weight, torch.stack([0 * weights["fc5.weight"][0], weights["fc5.weight"][0]])
    )
    assert "its sigmoid is the probability of class 1" in matched.notes[0]


def no_input_layer(config: Config) -> Config:
    """Keras 2 had no input layer in a Sequential model; its first layer has the shape."""
    images, first = config["config"]["layers"].pop(0), config["config"]["layers"][0]
    first["config"]["batch_input_shape"] = images["config"]["batch_input_shape"]
    return config


def list_of_layers(config: Config) -> Config:
    """Before Keras 2.3 a Sequential model was a list."""
    return {**no_input_layer(config), "config": config["config"]["layers"]}


def built(config: Config) -> Config:
    """Keras 3 saves the shape with which a model was built."""
    del config["config"]["layers"][0]
    return {**config, "build_config": {"input_shape": [None, *SHAPE]}}


@pytest.mark.parametrize("change", [no_input_layer, list_of_layers, built])
def test_where_the_input_is_told(
    tmp_path: Path,
    lenet5: Layers,
    weights: dict[str, Tensor],
    read_lenet5: Read,
    change: Callable[[Config], Config],
) -> None:
    config = change(config_of(lenet5, SHAPE, style="keras2"))
    assert_same(read_lenet5(save_hdf5(tmp_path / "net.h5", config, lenet5)), weights)


def test_channels_first(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read
) -> None:
    for one in lenet5:
        if "data_format" in one.options:
            one.options["data_format"] = "channels_first"
    path = save_archive(tmp_path / "n.keras", config_of(lenet5, (1, 32, 32)), lenet5)
    assert_same(read_lenet5(path), weights)
    layers = [layer("Permute", dims=[3, 1, 2]), *lenet5]
    path = save_archive(tmp_path / "n.keras", config_of(layers, SHAPE), layers)
    assert_same(read_lenet5(path), weights)
    lenet5[2].options["data_format"] = "channels_last"
    path = save_archive(tmp_path / "n.keras", config_of(layers, SHAPE), layers)
    with pytest.raises(ModelFileError, match="has data_format 'channels_last', but its input is"):
        read_lenet5(path)


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


def test_any_input_size_is_the_published_one(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read
) -> None:
    path = save_archive(tmp_path / "m.keras", config_of(lenet5, (None, None, 1)), lenet5)
    matched = read_lenet5(path)
    assert_same(matched, weights)
    assert matched.architecture.input == (1, 32, 32)


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


def test_names_of_sub_models_are_not_mixed_up(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read
) -> None:
    """Two models of Keras 2 whose layers have equal names."""
    for one in (lenet5[0], lenet5[2]):
        one.options["name"] = "conv"
    layers = [model("a", lenet5[:2]), model("b", lenet5[2:4]), *lenet5[4:]]
    path = save_hdf5(tmp_path / "m.h5", config_of(layers, SHAPE), layers)
    assert_same(read_lenet5(path), weights)
    swapped = [replace(layers[0], layers=lenet5[2:4]), replace(layers[1], layers=lenet5[:2])]
    save_hdf5(path, config_of(layers, SHAPE), [*swapped, *layers[2:]])
    with pytest.raises(ModelFileError, match=r"conv1\.weight has shape"):
        read_lenet5(path)
