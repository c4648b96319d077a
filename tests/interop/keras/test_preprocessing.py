"""Layers of Keras that prepare images, as the preprocessing that a model records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from torch import Tensor

from alexnet.errors import ModelFileError
from alexnet.interop.keras.arrays import keras_arrays
from alexnet.interop.keras.reader import read_keras
from alexnet.interop.match import MatchedModel
from alexnet.models.zoo import ZOO
from support.keras_files import (
    KerasLayer,
    config_of,
    conv,
    dense,
    layer,
    model,
    pool,
    save_archive,
    save_hdf5,
    write_keras3,
)
from support.narrow_nets import narrow_classifier

Layers = list[KerasLayer]
Read = Callable[[Path], MatchedModel]
SHAPE = (32, 32, 1)


def normalization(mean: Any, variance: Any, **options: Any) -> KerasLayer:
    """As adapt() leaves it."""
    one = layer("Normalization", "norm", axis=[-1], mean=None, variance=None, **options)
    arrays = {"mean": mean, "variance": variance, "count": 0}
    one.arrays = {name: np.array(value, np.float32) for name, value in arrays.items()}
    return one


def rescaling(scale: Any = 1 / 255, offset: Any = 0.0) -> KerasLayer:
    return layer("Rescaling", "rescaling", scale=scale, offset=offset)


def resizing(side: int, **options: Any) -> KerasLayer:
    return layer("Resizing", f"resizing_{side}", height=side, width=side, **options)


def crop(side: int, kind: str = "CenterCrop") -> KerasLayer:
    return layer(kind, "crop", height=side, width=side)


def preprocessing(path: Path, layers: Layers, read: Read, shape: Any = SHAPE) -> MatchedModel:
    return read(save_archive(path / "net.keras", config_of(layers, shape), layers))


@pytest.mark.parametrize(
    ("before", "mean", "std"),
    [
        ([rescaling()], 0, 255),
        ([rescaling(1 / 127.5, -1)], 127.5, 127.5),
        ([rescaling([1 / 255], [0.5])], -127.5, 255),
        ([normalization([120], [60**2])], 120, 60),
        ([normalization([120], [60**2]), layer("RandomFlip")], 120, 60),
        ([model("augmentation", [layer("RandomRotation"), rescaling()])], 0, 255),
        ([rescaling(), normalization([0.5], [0.25**2])], 127.5, 63.75),
        ([layer("Normalization", "n", mean=0.5, variance=0.25, axis=None)], 127.5, 127.5),
        ([layer("Normalization", "n", mean=[100.0], variance=[400.0])], 100, 20),
        ([layer("Normalization", "n", mean=-0.5, variance=0.25)], 63.75, 63.75),
        ([rescaling(2.0, -1.0)], 127.5, 127.5),
        ([layer("Permute", dims=[1, 2, 3]), rescaling()], 0, 255),
        ([normalization([2.0], [4.0], invert=True), rescaling(0.25)], -1, 2),
    ],
)
def test_mean_and_std(
    tmp_path: Path, lenet5: Layers, read_lenet5: Read, before: Layers, mean: float, std: float
) -> None:
    found = preprocessing(tmp_path, [*before, *lenet5], read_lenet5).preprocessing
    assert found is not None
    assert (found.resize, found.resize_size) == ("stretch", 32)
    assert (found.crop_size, found.input_side) == (32, 32)
    assert found.channels == 1
    np.testing.assert_allclose(found.mean[0], mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.std[0], std, rtol=1e-6)
    assert str(found.mean[0]) != "-0.0"


@pytest.mark.parametrize(
    ("before", "note"),
    [
        (
            [normalization([0.5], [0.0625])],
            "subtracts 0.5 and divides by 0.25, so it takes values of 0 to 1, not of 0 to 255",
        ),
        ([normalization([-0.1], [0.25])], "so it takes values of -1 to 1, not of 0 to 255"),
        ([resizing(32)], "does not say in which range it takes their values: these are as publ"),
        ([rescaling()], None),
    ],
)
def test_what_is_assumed_is_said(
    tmp_path: Path, lenet5: Layers, read_lenet5: Read, before: Layers, note: str | None
) -> None:
    notes = preprocessing(tmp_path, [*before, *lenet5], read_lenet5).notes
    assert len(notes) == (note is not None)
    assert all(str(note) in found for found in notes)


@pytest.mark.parametrize("style", ["keras3", "keras2"])
@pytest.mark.parametrize(
    ("name", "function", "number", "mean", "std"),
    [
        ("TrueDivide", "math.truediv", 255.0, 0, 255),
        ("Multiply", "math.multiply", 1 / 128, 0, 128),
        ("Subtract", "math.subtract", 110, 110, 1),
        ("Add", "__operators__.add", -110, 110, 1),
    ],
)
def test_operations_of_functional_models(
    tmp_path: Path,
    lenet5: Layers,
    read_lenet5: Read,
    style: Any,
    name: str,
    function: str,
    number: float,
    mean: float,
    std: float,
) -> None:
    """`x / 255` is a layer of its own."""
    one = layer(name, "op") if style == "keras3" else layer("TFOpLambda", "op", function=function)
    one.operands = (number,)
    config = config_of([one, *lenet5], SHAPE, "Functional", style)
    save = save_archive if style == "keras3" else save_hdf5
    found = read_lenet5(save(tmp_path / "net.keras", config, [one, *lenet5])).preprocessing
    assert found is not None
    np.testing.assert_allclose((found.mean[0], found.std[0]), (mean, std), rtol=1e-6)


@pytest.mark.parametrize(
    ("before", "side", "expected"),
    [
        ([resizing(32)], None, ("stretch", 32, 32, None)),
        ([resizing(32, crop_to_aspect_ratio=True)], None, ("shortest_edge", 32, 32, None)),
        ([resizing(40), crop(32)], None, ("stretch", 40, 32, None)),
        ([crop(32)], 48, ("stretch", 48, 32, None)),
        ([crop(40), resizing(32)], 48, ("stretch", 48, 40, 32)),
        ([crop(32, "RandomCrop")], 32, ("stretch", 32, 32, None)),
    ],
)
def test_resize_and_crop(
    tmp_path: Path,
    lenet5: Layers,
    read_lenet5: Read,
    before: Layers,
    side: int | None,
    expected: tuple[str, int, int, int | None],
) -> None:
    layers = [rescaling(), *before, *lenet5]
    matched = preprocessing(tmp_path, layers, read_lenet5, (side, side, 1))
    found = matched.preprocessing
    assert found is not None
    assert (found.resize, found.resize_size, found.crop_size, found.input_size) == expected
    assert found.std == (255, 255, 255)
    assert matched.architecture.input == (1, 32, 32)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ([rescaling(-1 / 255, 1.0)], "multiplies its images by .* only factors above 0"),
        ([rescaling([1.0, 2.0])], "Rescaling 'rescaling' has 2 values; one, or one for each"),
        ([normalization(np.ones((32, 32)), np.ones((32, 32)))], "Normalization 'norm' has 1024"),
        (
            [layer("Normalization", "n", mean=None, variance=None)],
            r"Normalization 'n' has no mean and variance; call its adapt\(\) before saving",
        ),
        ([resizing(32, pad_to_aspect_ratio=True)], "Resizing 'resizing_32' pads images"),
        ([crop(16, "RandomCrop")], "RandomCrop 'crop' crops images to 16 pixels in training only"),
        ([crop(64)], "CenterCrop 'crop' makes 64 pixels of 32"),
        (
            [layer("Resizing", "r", height=30, width=32)],
            "its size is \\[30, 32\\]; only square ones",
        ),
        ([layer("TrueDivide", "d")], "TrueDivide 'd' computes 'truediv'"),
        ([layer("TFOpLambda", "d", function="math.sin")], "TFOpLambda 'd' computes 'sin'"),
    ],
)
def test_what_no_preprocessing_can_do(
    tmp_path: Path, lenet5: Layers, read_lenet5: Read, before: Layers, message: str
) -> None:
    with pytest.raises(ModelFileError, match=message):
        preprocessing(tmp_path, [*before, *lenet5], read_lenet5)


def test_a_crop_of_images_of_any_size(tmp_path: Path, lenet5: Layers, read_lenet5: Read) -> None:
    with pytest.raises(ModelFileError, match="crops images of any size; resize them before it"):
        preprocessing(tmp_path, [crop(32), *lenet5], read_lenet5, (None, None, 1))


def test_normalization_in_a_file_of_weights_alone(
    tmp_path: Path, lenet5: Layers, read_lenet5: Read
) -> None:
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        write_keras3(file, [normalization([100.0], [2500.0]), *lenet5])
    found = read_lenet5(tmp_path / "w.weights.h5").preprocessing
    assert found is not None
    assert (found.mean, found.std, found.input_side) == ((100,) * 3, (50,) * 3, 32)


def quick_layers(weights: dict[str, Tensor]) -> Layers:
    """cifar_quick as Keras writes it: its pools take what is left at the right and bottom."""
    same = {"padding": "same"}
    return [
        conv("c1", weights, "conv1", **same),
        pool("p1", 3, 2, "Max", **same),
        layer("ReLU", "r1", max_value=None, negative_slope=0.0, threshold=0.0),
        layer("ZeroPadding2D", "z", padding=[[2, 2], [2, 2]]),
        conv("c2", weights, "conv2", activation="relu"),
        pool("p2", 3, 2, **same),
        conv("c3", weights, "conv3", activation="relu", **same),
        pool("p3", 3, 2, **same),
        layer("Flatten"),
        dense("d", weights, "fc4", (4, 4, 4)),
    ]


def test_color_images_and_padding_same(tmp_path: Path) -> None:
    weights = narrow_classifier("cifar_quick").network.state_dict()
    colors = [normalization([125, 123, 114], [63**2, 62**2, 67**2]), *quick_layers(weights)]
    path = save_archive(tmp_path / "net.keras", config_of(colors, (32, 32, 3)), colors)
    matched = read_keras(path, ZOO["cifar_quick"], read_arrays=lambda _, path: keras_arrays(path))
    assert all(bool((matched.weights[name] == weights[name]).all()) for name in weights)
    assert matched.architecture.layers[1] == ZOO["cifar_quick"].layers[1]
    found = matched.preprocessing
    assert found is not None
    np.testing.assert_allclose(found.mean, (125, 123, 114), rtol=1e-12)
    np.testing.assert_allclose(found.std, (63, 62, 67), rtol=1e-12)
    assert (found.channels, found.resize_size) == (3, 32)
