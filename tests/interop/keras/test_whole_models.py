"""Whole models in the forms in which people have them: names, nesting, styles, layers between."""

from __future__ import annotations

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
of_both_formats = pytest.mark.parametrize("save", [save_archive, save_hdf5])
of_both_versions = pytest.mark.parametrize("style", ["keras3", "keras2"])
of_both_classes = pytest.mark.parametrize("class_name", ["Sequential", "Functional"])


def assert_same(matched: MatchedModel, weights: dict[str, Tensor]) -> None:
    assert matched.weights.keys() == weights.keys()
    for name, tensor in matched.weights.items():
        assert torch.equal(tensor, weights[name]), name


@of_both_formats
@of_both_versions
@of_both_classes
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


@of_both_formats
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


@of_both_formats
@of_both_versions
@of_both_classes
def test_models_inside_a_model(
    tmp_path: Path,
    lenet5: Layers,
    weights: dict[str, Tensor],
    read_lenet5: Read,
    save: Callable[..., Path],
    style: Any,
    class_name: str,
) -> None:
    """Layers of equal names inside and outside, whose arrays Keras 3 counts by model."""
    lenet5[4].options["name"] = "conv2d"
    layers = [model("backbone", lenet5[:4], class_name), *lenet5[4:]]
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


def test_any_input_size_is_the_published_one(
    tmp_path: Path, lenet5: Layers, weights: dict[str, Tensor], read_lenet5: Read
) -> None:
    path = save_archive(tmp_path / "m.keras", config_of(lenet5, (None, None, 1)), lenet5)
    matched = read_lenet5(path)
    assert_same(matched, weights)
    assert matched.architecture.input == (1, 32, 32)


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
