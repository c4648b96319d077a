"""Every type of node as a layer, and the nodes that no layer here is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from alexnet.errors import ModelFileError
from alexnet.interop.match import ParsedLayer
from alexnet.interop.onnx.chain import NAME, Chain
from alexnet.interop.onnx.parse import parse_nodes
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
)
from support.onnx_files import node, parse_chain

KERNEL = np.arange(4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3)
MATRIX = np.arange(2 * 5, dtype=np.float32).reshape(2, 5)
VECTOR = np.arange(4, dtype=np.float32)
PAIR = np.float32([3, 4])
NUMBER = np.float32(2)
CONSTANTS = {
    "kernel": KERNEL,
    "wide": KERNEL[..., :2],
    "matrix": MATRIX,
    "vector": VECTOR,
    "pair": PAIR,
}


def parse(
    *nodes: NodeProto, shape: Shape = (3, 9, 9), constants: dict[str, np.ndarray] | None = None
) -> list[ParsedLayer]:
    return parse_chain(*nodes, shape=shape, constants=constants or CONSTANTS).layers


@pytest.mark.parametrize(
    ("one", "shape", "layer"),
    [
        (node("Conv", "kernel"), (3, 9, 9), Conv(NAME, 4, 3)),
        (
            node("Conv", "kernel", pads=[1, 1, 2, 2], strides=[2, 2]),
            (3, 9, 9),
            Conv(NAME, 4, 3, 2, 1, 1),
        ),
        (node("Conv", "kernel", group=2), (6, 9, 9), Conv(NAME, 4, 3, groups=2)),
        (node("Gemm", "matrix", transB=1), (5,), FullyConnected(NAME, 2)),
        (node("Gemm", "matrix"), (2,), FullyConnected(NAME, 5)),
        (node("MatMul", "matrix"), (2,), FullyConnected(NAME, 5)),
        (node("Relu"), (7,), Activation(NAME)),
        (node("Tanh"), (7,), Activation(NAME, "tanh")),
        (node("Sigmoid"), (7,), Activation(NAME, "sigmoid")),
        (node("LRN", size=5, alpha=1.0), (3, 9, 9), ResponseNorm(NAME, 5, 0.2, 0.75, 1.0)),
        (
            node("MaxPool", kernel_shape=[3, 3], strides=[2, 2]),
            (3, 9, 9),
            Pool(NAME, 3, 2),
        ),
        (
            node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            (3, 9, 9),
            Pool(NAME, 2, 2, ceil=True, reduce="average"),
        ),
        (
            node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
            (3, 8, 8),
            Pool(NAME, 3, 2, ceil=True),
        ),
        (node("GlobalAveragePool"), (3, 9, 9), AdaptivePool(NAME, 1)),
        (
            node("BatchNormalization", *["vector"] * 4, epsilon=0.5),
            (4, 2, 2),
            BatchNorm(NAME, 0.5),
        ),
        (node("Flatten"), (3, 9, 9), Flatten(NAME)),
        (node("Dropout"), (7,), Dropout(NAME)),
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
    (gemm,) = parse(node("Gemm", "matrix", "pair", transB=1), shape=(5,))
    np.testing.assert_array_equal(gemm.weights["weight"], MATRIX)
    np.testing.assert_array_equal(gemm.weights["bias"], PAIR)
    (matmul,) = parse(node("MatMul", "matrix"), shape=(2,))
    np.testing.assert_array_equal(matmul.weights["weight"], MATRIX.T)


def test_alpha_and_beta_are_factors_of_weight_and_bias() -> None:
    (gemm,) = parse(node("Gemm", "matrix", "pair", transB=1, alpha=2.0, beta=0.5), shape=(5,))
    np.testing.assert_array_equal(gemm.weights["weight"], 2 * MATRIX)
    np.testing.assert_array_equal(gemm.weights["bias"], PAIR / 2)


@pytest.mark.parametrize("kernel", [5, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [9, 10])
def test_automatic_padding(kernel: int, stride: int, side: int) -> None:
    """TensorFlow's "same": ceil(side / stride) windows; the odd zero at the end."""
    constants = {"w": np.zeros((4, 3, kernel, kernel), np.float32)}
    one = node("Conv", "w", auto_pad="SAME_UPPER", strides=[stride] * 2)
    chain = parse_chain(one, shape=(3, side, side), constants=constants)
    assert chain.shape == (4, -(-side // stride), -(-side // stride))
    layer = chain.layers[0].layer
    assert isinstance(layer, Conv)
    total = max((chain.shape[1] - 1) * stride + kernel - side, 0)
    assert (layer.padding, layer.extra_padding) == (total // 2, total % 2)


def test_an_odd_zero_at_the_beginning() -> None:
    one = node("Conv", "kernel", auto_pad="SAME_LOWER", strides=[2, 2])
    with pytest.raises(ModelFileError, match=r"Conv 'y' has padding \[1, 1, 0, 0\]"):
        parse(one, shape=(3, 8, 8))


def test_automatic_padding_of_pools() -> None:
    pool = node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    (found,) = parse(pool, shape=(3, 8, 8))
    assert found.layer == Pool(NAME, 3, 2, ceil=True)
    valid = node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="VALID")
    (found,) = parse(valid, shape=(3, 8, 8))
    assert found.layer == Pool(NAME, 3, 2)


def pad_node(opset: int, pads: list[int], name: str = "y") -> tuple[NodeProto, dict[str, Any]]:
    """A Pad in the form of an opset: attributes before 11, an input after."""
    if opset < 11:
        return helper.make_node("Pad", ["x"], [name], pads=pads), {}
    return helper.make_node("Pad", ["x", "pads"], [name]), {"pads": np.int64(pads)}


@pytest.mark.parametrize("opset", [9, 18])
def test_a_pad_belongs_to_the_layer_that_follows(opset: int) -> None:
    pad, constants = pad_node(opset, [0, 0, 1, 1, 0, 0, 2, 2])
    conv = helper.make_node("Conv", ["y", "kernel"], ["z"], pads=[1, 1, 1, 1])
    (found,) = parse(pad, conv, constants={**CONSTANTS, **constants})
    assert found.layer == Conv(NAME, 4, 3, padding=2, extra_padding=1)


def test_a_pad_before_a_maximum() -> None:
    """Zeros do not change the maximum of what a ReLU gives, but that of other numbers."""
    pad, constants = pad_node(18, [0, 0, 0, 0, 0, 0, 1, 1])
    pool = helper.make_node("MaxPool", ["y"], ["z"], kernel_shape=[3, 3], strides=[2, 2])
    relu = helper.make_node("Relu", ["before"], ["x"])
    chain = Chain(Path("a.onnx"), dict(constants), "before", (3, 8, 8))
    parse_nodes(chain, [relu, pad, pool])
    assert chain.layers[-1].layer == Pool(NAME, 3, 2, ceil=True)
    with pytest.raises(ModelFileError, match="maximum of padding and numbers that may be below 0"):
        parse(pad, pool, shape=(3, 8, 8), constants=constants)


def test_a_softmax_is_left_out_and_said() -> None:
    chain = parse_chain(node("Softmax"), helper.make_node("Identity", ["y"], ["z"]), shape=(5,))
    assert (chain.layers, chain.logits, chain.current) == ([], "x", "z")
    assert chain.notes == ["the file's final Softmax is left out: models here give logits"]
    with pytest.raises(ModelFileError, match="Relu 'z' follows the softmax or sigmoid"):
        parse(node("Softmax"), helper.make_node("Relu", ["y"], ["z"]), shape=(5,))


def test_training_mode_is_said() -> None:
    constants = {"rate": np.float32(0.5), "yes": np.bool_(True), **CONSTANTS}
    dropout = helper.make_node("Dropout", ["x", "rate", "yes"], ["y", "mask"])
    norm = helper.make_node("BatchNormalization", ["y", *["vector"] * 4], ["z"], training_mode=1)
    chain = parse_chain(dropout, norm, shape=(4, 2, 2), constants=constants)
    assert [type(found.layer) for found in chain.layers] == [Dropout, BatchNorm]
    assert len(chain.notes) == 2
    assert all("the file is in training mode" in sentence for sentence in chain.notes)


@pytest.mark.parametrize(
    "one",
    [
        node("Clip", min=0.0),
        node("Clip", "zero"),
        node("Clip", "zero", "infinity"),
    ],
)
def test_a_clip_at_zero_is_a_relu(one: NodeProto) -> None:
    constants = {"zero": np.float32(0), "infinity": np.float32(np.inf)}
    assert [found.layer for found in parse(one, constants=constants)] == [Activation(NAME)]


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (node("Conv", "wide"), "is not a convolution with square kernels and equal strides"),
        (node("Conv", "kernel", strides=[1, 2]), "is not a convolution with square kernels"),
        (node("Conv", "kernel", pads=[1, 0, 1, 0]), r"has padding \[1, 0, 1, 0\]"),
        (node("Conv", "kernel", dilations=[2, 2]), "has dilation, which is not supported"),
        (node("Conv", "other"), "takes 'other', which is not a constant"),
        (node("Conv", "kernel", group=2), "cannot be computed: 3 -> 4 channels cannot be split"),
        (node("Gemm", "matrix", transA=1), "has transA"),
        (node("Gemm", "matrix", "vector"), "cannot be computed: a fully connected layer needs a F"),
        (helper.make_node("MatMul", ["matrix", "x"], ["y"]), "multiplies a constant by the images"),
        (node("MatMul", "kernel"), "multiplies by an array of 4 dimensions instead of 2"),
        (node("Clip", min=0.0, max=6.0), "is ReLU6, which no architecture here has"),
        (node("Clip", min=-1.0, max=1.0), r"is a clipping to -1\.0 to 1\.0, which no"),
        (node("Cast", to=TensorProto.INT8), "converts to INT8, which is no floating-point type"),
        (node("Softmax"), "is not over the classes"),
        (node("QuantizeLinear", "vector"), "is of a quantized network"),
        (node("Pad", pads=[0, 1, 0, 0, 0, 1, 0, 0]), "pads with something else than zeros around"),
        (node("Pad", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=1.0), "pads with something else"),
        (node("BatchNormalization", *["vector"] * 4, spatial=0), r"\(spatial 0\)"),
        (node("MaxPool", kernel_shape=[2, 3]), "is not a pool with a square window"),
        (
            node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
            r"has padding \[0, 0, 1, 1\], which is not supported",
        ),
        (node("LeakyRelu"), "LeakyRelu 'y' is not a layer of any architecture here"),
        (node("Relu", domain="com.microsoft"), r"com\.microsoft\.Relu 'y' is not a layer"),
        (helper.make_node("Relu", ["other"], ["y"]), "not one chain"),
    ],
)
def test_what_no_layer_here_is(one: NodeProto, message: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^a\.onnx: .*{message}"):
        parse(one)


def test_a_pad_before_another_node() -> None:
    pad, constants = pad_node(18, [0, 0, 1, 1, 0, 0, 1, 1])
    with pytest.raises(ModelFileError, match="Relu 'z' follows a Pad"):
        parse(pad, helper.make_node("Relu", ["y"], ["z"]), constants=constants)


def test_a_bias_of_another_length() -> None:
    with pytest.raises(ModelFileError, match=r"Gemm 'y' has a bias of shape \[4\], not \[2\]"):
        parse(node("Gemm", "matrix", "vector", transB=1), shape=(5,))


@pytest.mark.parametrize("name", ["/features/features.0/Conv_output_0", "12", "a b", "a:0", "a-b"])
def test_any_name_is_for_messages_only(name: str) -> None:
    """Module paths, numbers, TensorFlow's names: none is a Python identifier."""
    conv = helper.make_node("Conv", ["x", "kernel"], [name])
    relu = helper.make_node("Relu", [name], ["end"], name)
    found = parse(conv, relu)
    assert [one.layer for one in found] == [Conv(NAME, 4, 3), Activation(NAME)]
    assert [one.description for one in found] == [f"Conv {name!r}", f"Relu {name!r}"]


def test_attributes_that_cannot_be_read() -> None:
    with pytest.raises(
        ModelFileError, match=r"MaxPool '/pool/out' cannot be read \(\w+Error: .*\)"
    ):
        parse(helper.make_node("MaxPool", ["x"], ["/pool/out"]))
