"""Every type of node as a layer, and the nodes that no layer here is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from alexnet.errors import ModelFileError
from alexnet.interop.match import ParsedLayer
from alexnet.interop.onnx.nodes import ChainParser
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
    ResponseNorm,
    Shape,
    WithinChannelLRN,
)

KERNEL = np.arange(4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3)
MATRIX = np.arange(2 * 5, dtype=np.float32).reshape(2, 5)
VECTOR = np.arange(4, dtype=np.float32)
NUMBER = np.float32(2)
CONSTANTS = {"kernel": KERNEL, "wide": KERNEL[..., :2], "matrix": MATRIX, "vector": VECTOR}


def node(op_type: str, *inputs: str, **attributes: Any) -> NodeProto:
    """A node from "x" and constants to "y"."""
    return helper.make_node(op_type, ["x", *inputs], ["y"], **attributes)


def parse(
    *nodes: NodeProto, shape: Shape = (3, 9, 9), constants: dict[str, np.ndarray] | None = None
) -> list[ParsedLayer]:
    parser = ChainParser(Path("a.onnx"), constants or CONSTANTS, "x", shape)
    parser.parse(nodes)
    return parser.layers


@pytest.mark.parametrize(
    ("one", "shape", "layer"),
    [
        (node("Conv", "kernel"), (3, 9, 9), Conv("y", 4, 3)),
        (
            node("Conv", "kernel", pads=[1, 1, 2, 2], strides=[2, 2]),
            (3, 9, 9),
            Conv("y", 4, 3, 2, 1, 1),
        ),
        (node("Conv", "kernel", group=2), (6, 9, 9), Conv("y", 4, 3, groups=2)),
        (node("Gemm", "matrix", transB=1), (5,), FullyConnected("y", 2)),
        (node("Gemm", "matrix"), (2,), FullyConnected("y", 5)),
        (node("MatMul", "matrix"), (2,), FullyConnected("y", 5)),
        (node("Relu"), (7,), Activation("y")),
        (node("Tanh"), (7,), Activation("y", "tanh")),
        (node("Sigmoid"), (7,), Activation("y", "sigmoid")),
        (node("LRN", size=5, alpha=1.0), (3, 9, 9), ResponseNorm("y", 5, 0.2, 0.75, 1.0)),
        (
            node("MaxPool", kernel_shape=[3, 3], strides=[2, 2]),
            (3, 9, 9),
            Pool("y", 3, 2),
        ),
        (
            node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            (3, 9, 9),
            Pool("y", 2, 2, ceil=True, reduce="average"),
        ),
        (
            node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
            (3, 8, 8),
            Pool("y", 3, 2, ceil=True),
        ),
        (node("GlobalAveragePool"), (3, 9, 9), AdaptivePool("y", 1)),
        (
            node("BatchNormalization", *["vector"] * 4, epsilon=0.5),
            (4, 2, 2),
            BatchNorm("y", 0.5),
        ),
        (node("Flatten"), (3, 9, 9), Flatten("y")),
        (node("Dropout"), (7,), Dropout("y")),
    ],
)
def test_a_node_is_a_layer(one: NodeProto, shape: Shape, layer: Layer) -> None:
    (found,) = parse(one, shape=shape)
    assert type(found.layer) is type(layer)
    for name in type(layer).__dataclass_fields__:
        expected = getattr(layer, name)
        if isinstance(expected, float):
            expected = pytest.approx(expected)  # attributes are float32
        assert getattr(found.layer, name) == expected, name


@pytest.mark.parametrize(
    "one",
    [
        node("Identity"),
        node("MaxPool", kernel_shape=[1, 1]),
    ],
)
def test_nodes_that_do_nothing(one: NodeProto) -> None:
    assert parse(one) == []


def test_weights_are_in_torchs_layout() -> None:
    (gemm,) = parse(node("Gemm", "matrix", "vector", transB=1), shape=(5,))
    np.testing.assert_array_equal(gemm.weights["weight"], MATRIX)
    np.testing.assert_array_equal(gemm.weights["bias"], VECTOR)
    (matmul,) = parse(node("MatMul", "matrix"), shape=(2,))
    np.testing.assert_array_equal(matmul.weights["weight"], MATRIX.T)


def test_an_add_is_the_bias_of_the_layer_before() -> None:
    add = helper.make_node("Add", ["vector", "y"], ["z"])
    (conv,) = parse(node("Conv", "kernel"), add)
    np.testing.assert_array_equal(conv.weights["bias"], VECTOR)


def test_reshapes_split_channels_into_groups_for_a_norm() -> None:
    constants = {"split": np.int64([-1, 2, 9, 9]), "join": np.int64([-1, 4, 9, 9])}
    nodes = (
        helper.make_node("Reshape", ["x", "split"], ["a"]),
        helper.make_node("LRN", ["a"], ["b"], size=3),
        helper.make_node("Reshape", ["b", "join"], ["c"]),
        helper.make_node("LRN", ["c"], ["d"], size=3),
    )
    one, other = (found.layer for found in parse(*nodes, shape=(4, 9, 9), constants=constants))
    assert isinstance(one, ResponseNorm)
    assert isinstance(other, ResponseNorm)
    assert (one.groups, other.groups) == (2, 1)


def test_a_transpose_before_flatten_puts_channels_last() -> None:
    flatten = helper.make_node("Flatten", ["y"], ["z"])
    again = helper.make_node("Reshape", ["z", "whole"], ["end"])
    constants = {"whole": np.int64([-1, 3 * 9 * 9])}
    layers = parse(node("Transpose", perm=[0, 2, 3, 1]), flatten, again, constants=constants)
    assert [found.layer for found in layers] == [Flatten("z", "hwc")]


def lrn_nodes(last: str = "Mul") -> list[NodeProto]:
    """x * (6 * mean(x * x) + 1) ** -0.75 over 3 x 3."""
    return [
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("AveragePool", ["square"], ["mean"], kernel_shape=[3, 3]),
        helper.make_node("Mul", ["mean", "alpha"], ["scaled"]),
        helper.make_node("Add", ["one", "scaled"], ["sum"]),
        helper.make_node("Pow", ["sum", "beta"], ["power"]),
        helper.make_node(last, ["x", "power"], ["y"]),
    ]


LRN_CONSTANTS = {"alpha": np.float32(4.5), "one": np.float32(1), "beta": np.float32(-0.75)}


def test_a_within_channel_lrn_is_six_nodes() -> None:
    (found,) = parse(*lrn_nodes(), constants=LRN_CONSTANTS)
    assert found.layer == WithinChannelLRN("square", size=3, alpha=0.5, beta=0.75, k=1.0)


def test_other_squares_are_rejected() -> None:
    with pytest.raises(ModelFileError, match="squares its input, but is not part of a within-ch"):
        parse(*lrn_nodes("Add"), constants=LRN_CONSTANTS)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (node("Conv", "wide"), "is not a convolution with square kernels and equal strides"),
        (node("Conv", "kernel", strides=[1, 2]), "is not a convolution with square kernels"),
        (node("Conv", "kernel", pads=[1, 0, 1, 0]), r"has padding \[1, 0, 1, 0\]"),
        (node("Conv", "kernel", dilations=[2, 2]), "has dilation or automatic padding"),
        (node("Conv", "kernel", auto_pad="SAME_UPPER"), "has dilation or automatic padding"),
        (node("Conv", "other"), "takes 'other', which is not a constant"),
        (node("Gemm", "matrix", alpha=2.0), "has alpha, beta or transA"),
        (node("Gemm", "matrix", transA=1), "has alpha, beta or transA"),
        (node("MatMul", "kernel"), "multiplies by an array of 4 dimensions instead of 2"),
        (node("Add", "vector"), "adds something that is not a bias"),
        (node("MaxPool", kernel_shape=[2, 3]), "is not a pool with a square window"),
        (
            node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
            r"has padding \[0, 0, 1, 1\], which is not supported",
        ),
        (node("Transpose", perm=[0, 3, 1, 2]), "permutes axes in another way"),
        (node("Flatten", axis=0), "flattens across the batch"),
        (node("Reshape", "target"), r"reshapes \[3, 9, 9\] to \[5, 7\], which is not supported"),
        (node("Sub", "vector"), "is preprocessing; only networks without it can be imported"),
        (node("LeakyRelu"), "LeakyRelu 'y' is not a layer of any architecture here"),
        (helper.make_node("Relu", ["other"], ["y"]), "not one chain"),
    ],
)
def test_what_no_layer_here_is(one: NodeProto, message: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^a\.onnx: .*{message}"):
        parse(one, constants={**CONSTANTS, "target": np.int64([5, 7])})
