"""A file as tf2onnx writes Keras's networks: names with slashes and colons, channels last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ModelFileError
from alexnet.interop.importer import build_network
from alexnet.interop.onnx.graph import Graph
from alexnet.interop.onnx.reader import check_parity, read_onnx
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Pool,
)

NET = Architecture(
    "tutorial",
    "",
    (3, 22, 22),
    (
        Conv("conv1", 4, 5, 2, padding=1, extra_padding=1),
        Activation("relu1"),
        Pool("pool1", 2, 2),
        BatchNorm("bn1", 1e-3),
        Flatten("flatten", "hwc"),
        FullyConnected("fc2", 6),
        Activation("relu2"),
        Dropout("drop2"),
        BatchNorm("bn2", 1e-3),
        FullyConnected("fc3", 3),
    ),
)
S = "sequential/"


def tensorflow_onnx(path: Path, *, rescaling: bool = False, name: str = S) -> Path:
    """The network as Keras's layers: Conv2D with padding "same", Dense, BatchNormalization."""
    random = np.random.default_rng(0)
    arrays = {
        "conv2d/kernel:0": random.normal(0, 0.1, (4, 3, 5, 5)),
        "conv2d/bias:0": random.normal(0, 0.1, 4),
        "scale": random.uniform(0.5, 1.5, 4),
        "mean": random.normal(0, 0.5, 4),
        "variance": random.uniform(0.5, 1.5, 4),
        "dense/kernel:0": random.normal(0, 0.1, (100, 6)),
        "dense/bias:0": random.normal(0, 0.1, 6),
        "bn scale": random.uniform(0.5, 1.5, 6),
        "bn shift": random.normal(0, 0.5, 6),
        "dense_1/kernel:0": random.normal(0, 0.5, (6, 3)),
        "dense_1/bias:0": random.normal(0, 0.5, (1, 3)),
        "1/255": np.float32(1 / 255),
    }
    constants = {key: np.float32(array) for key, array in arrays.items()}
    steps = [
        *([("Mul", "rescaling/mul:0", "1/255")] if rescaling else []),
        ("Transpose", "conv2d/BiasAdd__6:0", {"perm": [0, 3, 1, 2]}),
        ("Conv", "conv2d/BiasAdd:0", "conv2d/kernel:0", "conv2d/bias:0",
         {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ("Relu", "conv2d/Relu:0"),
        ("MaxPool", "max_pooling2d/MaxPool:0", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("BatchNormalization", "batch_normalization/FusedBatchNormV3:0", "scale", "mean", "mean",
         "variance", {"epsilon": 1e-3}),
        ("Transpose", "batch_normalization/FusedBatchNormV3__9:0", {"perm": [0, 2, 3, 1]}),
        ("Reshape", "flatten/Reshape:0", "shape"),
        ("MatMul", "dense/MatMul:0", "dense/kernel:0"),
        ("Add", "dense/BiasAdd:0", "dense/bias:0"),
        ("Relu", "dense/Relu:0"),
        ("Mul", "batch_normalization_1/batchnorm/mul_1:0", "bn scale"),
        ("Add", "batch_normalization_1/batchnorm/add_1:0", "bn shift"),
        ("MatMul", "dense_1/MatMul:0", "dense_1/kernel:0"),
        ("Add", "dense_1/BiasAdd:0", "dense_1/bias:0"),
        ("Softmax", "dense_1/Softmax:0", {"axis": -1}),
    ]  # fmt: skip
    nodes, current = [], "input_1:0"
    for op_type, output, *others in steps:
        attributes = others.pop() if others and isinstance(others[-1], dict) else {}
        nodes.append(
            helper.make_node(op_type, [current, *others], [name + output], name + output[:-2],
                             **attributes)
        )  # fmt: skip
        current = name + output
    graph = helper.make_graph(
        nodes,
        "tf2onnx",
        [helper.make_tensor_value_info("input_1:0", 1, ["unk__10", 22, 22, 3])],
        [helper.make_tensor_value_info(current, 1, ["unk__11", 3])],
        [onnx.numpy_helper.from_array(array, key) for key, array in constants.items()]
        + [onnx.numpy_helper.from_array(np.int64([-1, 100]), "shape")],
    )
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 2)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize("name", [S, "model 1/", "0-net."])
def test_a_network_of_keras(tmp_path: Path, name: str) -> None:
    path = tensorflow_onnx(tmp_path / "net.onnx", name=name)
    matched, graph = read_onnx(path, NET)
    assert matched.architecture == NET
    assert (graph.batch_size, graph.is_channels_last) == (0, True)
    assert_parity(path, matched, graph)
    assert graph.notes == ("the file's final Softmax is left out: models here give logits",)


def assert_parity(path: Path, matched: object, graph: Graph) -> None:
    network = build_network(matched)  # type: ignore[arg-type]
    preprocessing = Preprocessing(crop_size=22, std=(255, 255, 255))
    for find in (lambda name: name, lambda name: None):
        parity = check_parity(
            path,
            network,
            graph,
            "rgb",
            preprocessing,
            make_runner=lambda model, find=find: onnx_runner(model, find),  # type: ignore[misc]
        )
        assert parity.relative_difference < 1e-5


def test_rescaling_is_preprocessing(tmp_path: Path) -> None:
    """Keras's Rescaling(1 / 255), before the channels are put first."""
    path = tensorflow_onnx(tmp_path / "net.onnx", rescaling=True)
    matched, graph = read_onnx(path, NET)
    assert matched.preprocessing is not None
    assert matched.preprocessing.std == pytest.approx((255, 255, 255))
    assert matched.preprocessing.mean == (0, 0, 0)
    assert_parity(path, matched, graph)


def test_a_message_names_the_files_own_node(tmp_path: Path) -> None:
    path = tensorflow_onnx(tmp_path / "net.onnx")
    layers = (Conv("conv1", 4, 5, 2), *NET.layers[1:])
    other = Architecture("tutorial", "", (3, 22, 22), layers)
    message = "conv1 should have padding 0, but Conv 'sequential/conv2d/BiasAdd' has 1"
    with pytest.raises(ModelFileError, match=message):
        read_onnx(path, other)
