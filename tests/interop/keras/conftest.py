"""Keras files of a narrow LeNet-5, whose weights are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from alexnet.interop.keras.arrays import keras_arrays
from alexnet.interop.keras.reader import read_keras
from alexnet.interop.match import MatchedModel
from alexnet.models.zoo import ZOO
from support.keras_files import KerasLayer, conv, dense, layer, pool
from support.narrow_nets import narrow_classifier

ReadLeNet = Callable[[Path], MatchedModel]


@pytest.fixture(scope="session")
def weights() -> dict[str, Tensor]:
    return narrow_classifier("lenet5").network.state_dict()


@pytest.fixture
def lenet5(weights: dict[str, Tensor]) -> list[KerasLayer]:
    """The layers of Keras, each with its activation inside."""
    tanh = {"activation": "tanh"}
    return [
        conv("conv2d", weights, "conv1", **tanh),
        pool("average_pooling2d", 2, 2),
        conv("conv2d_1", weights, "conv2", **tanh),
        pool("average_pooling2d_1", 2, 2),
        conv("conv2d_2", weights, "conv3", **tanh),
        layer("Flatten", "flatten", data_format="channels_last"),
        dense("dense", weights, "fc4", **tanh),
        dense("dense_1", weights, "fc5", activation="softmax"),
    ]


@pytest.fixture(scope="session")
def read_lenet5() -> ReadLeNet:
    """Reads the arrays in this process, which saves a third of a second a file."""
    return lambda path: read_keras(
        path, ZOO["lenet5"], read_arrays=lambda reader, path: keras_arrays(path)
    )
