"""Constants that multiply or shift channels: biases, folded batch norms, normalizations."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import NodeProto, helper

from alexnet.errors import ModelFileError
from alexnet.interop.match import ParsedLayer
from alexnet.models.layers import BatchNorm, Shape
from support.onnx_files import node, parse_chain

KERNEL = np.arange(4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3)
VECTOR = np.float32([1, 2, 3, 4])
MAPS = VECTOR.reshape(4, 1, 1)
CONSTANTS = {
    "kernel": KERNEL,
    "vector": VECTOR,
    "maps": MAPS,
    "last": VECTOR.reshape(1, 1, 1, 4),
    "two": np.float32(2),
    "pixels": np.ones((4, 9, 9), np.float32),
    "zero": np.float32(0),
}


def parse(*nodes: NodeProto, shape: Shape = (3, 9, 9), last: bool = False) -> list[ParsedLayer]:
    constants = CONSTANTS
    return parse_chain(*nodes, shape=shape, constants=constants, is_channels_last=last).layers


def after(first: NodeProto, op_type: str, *inputs: str) -> list[NodeProto]:
    """A node and one that takes its output "y"."""
    return [first, helper.make_node(op_type, list(inputs), ["z"])]


CONV = node("Conv", "kernel")
RELU = node("Relu")


@pytest.mark.parametrize(
    ("op_type", "inputs", "bias"),
    [
        ("Add", ("maps", "y"), VECTOR),
        ("Add", ("y", "maps"), VECTOR),
        ("Sub", ("y", "maps"), -VECTOR),
    ],
)
def test_an_add_is_the_bias_of_the_layer_before(
    op_type: str, inputs: tuple[str, ...], bias: np.ndarray
) -> None:
    (conv,) = parse(*after(CONV, op_type, *inputs))
    np.testing.assert_array_equal(conv.weights["bias"], bias)


def test_a_second_add_and_a_factor() -> None:
    nodes = [
        *after(CONV, "Add", "y", "maps"),
        helper.make_node("Mul", ["z", "two"], ["a"]),
        helper.make_node("Add", ["a", "maps"], ["b"]),
        helper.make_node("Div", ["b", "maps"], ["c"]),
    ]
    (conv,) = parse(*nodes)
    np.testing.assert_array_equal(conv.weights["bias"], (2 * VECTOR + VECTOR) / VECTOR)
    expected = 2 * KERNEL / VECTOR.reshape(4, 1, 1, 1)
    np.testing.assert_allclose(conv.weights["weight"], expected, rtol=1e-6)


def test_the_channels_can_be_last() -> None:
    (norm,) = parse(
        node("Transpose", perm=[0, 2, 3, 1]),
        helper.make_node("Relu", ["y"], ["r"]),
        helper.make_node("Add", ["r", "last"], ["z"]),
        shape=(4, 9, 9),
    )[1:]
    np.testing.assert_array_equal(norm.weights["bias"], VECTOR)


def test_a_scale_after_another_layer_is_a_folded_batch_norm() -> None:
    """So does tf2onnx write a batch norm of features."""
    nodes = [*after(RELU, "Mul", "y", "vector"), helper.make_node("Add", ["z", "two"], ["end"])]
    _, norm = parse(*nodes, shape=(4,))
    assert isinstance(norm.layer, BatchNorm)
    assert norm.description == "Mul 'z'"
    np.testing.assert_array_equal(norm.weights["weight"], VECTOR)
    np.testing.assert_array_equal(norm.weights["bias"], [2, 2, 2, 2])
    assert set(norm.weights) == {"weight", "bias"}


def test_a_scale_layer_behind_a_batch_norm() -> None:
    """Caffe's BatchNorm and Scale."""
    nodes = after(node("BatchNormalization", *["vector"] * 4), "Mul", "y", "maps")
    (norm,) = parse(*nodes, shape=(4, 9, 9))
    np.testing.assert_array_equal(norm.weights["weight"], VECTOR * VECTOR)
    np.testing.assert_array_equal(norm.weights["running_mean"], VECTOR)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (after(CONV, "Add", "y", "vector"), r"has a constant of shape \[4\], which fits no layer"),
        (after(CONV, "Add", "y", "kernel"), r"has a constant of shape \[4, 3, 3, 3\]"),
        (after(CONV, "Add", "y", "y"), "takes 'y', which is not a constant"),
        (after(RELU, "Add", "y", "pixels"), r"has a constant of shape \[4, 9, 9\]"),
        (after(CONV, "Sub", "maps", "y"), "subtracts the images from a constant"),
        (after(CONV, "Div", "maps", "y"), "divides a constant by the images"),
        (after(CONV, "Div", "y", "zero"), "or the images by 0"),
    ],
)
def test_what_is_rejected(nodes: list[NodeProto], message: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^a\.onnx: .*{message}"):
        parse(*nodes)


def test_a_constant_for_each_pixel() -> None:
    with pytest.raises(ModelFileError, match="Add 'z' has a constant for each pixel"):
        parse(*after(RELU, "Add", "y", "pixels"), shape=(4, 9, 9))
