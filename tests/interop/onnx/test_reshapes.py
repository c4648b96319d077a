"""Nodes that change an image's layout or shape."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import NodeProto, helper

from alexnet.errors import ModelFileError
from alexnet.interop.onnx.chain import NAME
from alexnet.models.layers import AdaptivePool, Conv, Flatten, ResponseNorm
from support.onnx_files import node, parse_chain

AXES = {"axes": np.int64([2, 3]), "rows": np.int64([1, 2])}


def reshape(*target: int) -> tuple[NodeProto, dict[str, np.ndarray]]:
    return node("Reshape", "target"), {"target": np.int64(target)}


@pytest.mark.parametrize("target", [(1, -1), (-1, 243), (0, -1), (1, 243), (0, 243)])
def test_flatten_as_a_reshape(target: tuple[int, ...]) -> None:
    one, constants = reshape(*target)
    assert [f.layer for f in parse_chain(one, constants=constants).layers] == [Flatten(NAME)]


@pytest.mark.parametrize("axis", [1, -3])
def test_flatten_itself(axis: int) -> None:
    assert [f.layer for f in parse_chain(node("Flatten", axis=axis)).layers] == [Flatten(NAME)]


def test_a_reshape_to_the_same_shape() -> None:
    for target, shape in (((1, 3, 9, 9), (3, 9, 9)), ((0, 0, 9, -1), (3, 9, 9)), ((-1, 7), (7,))):
        one, constants = reshape(*target)
        assert parse_chain(one, shape=shape, constants=constants).layers == []


@pytest.mark.parametrize(
    "one",
    [
        node("Squeeze", axes=[2, 3]),
        node("Squeeze", "axes"),
        node("Squeeze", "last"),
        node("Reshape", "target"),
        node("Flatten"),
    ],
)
def test_maps_of_one_pixel(one: NodeProto) -> None:
    constants = {**AXES, "last": np.int64([-1, -2]), "target": np.int64([-1, 3])}
    chain = parse_chain(one, shape=(3, 1, 1), constants=constants)
    assert [found.layer for found in chain.layers] == [Flatten(NAME)]
    assert chain.shape == (3,)


@pytest.mark.parametrize(
    ("one", "reduce", "shape"),
    [
        (node("ReduceMean", axes=[2, 3]), "average", (3, 1, 1)),
        (node("ReduceMean", "axes"), "average", (3, 1, 1)),
        (node("ReduceMean", axes=[-1, -2], keepdims=0), "average", (3,)),
        (node("ReduceMax", "axes", keepdims=0), "max", (3,)),
        (node("GlobalMaxPool"), "max", (3, 1, 1)),
    ],
)
def test_global_pools(one: NodeProto, reduce: str, shape: tuple[int, ...]) -> None:
    chain = parse_chain(one, constants=AXES)
    assert chain.layers[0].layer == AdaptivePool(NAME, 1, reduce)  # type: ignore[arg-type]
    assert chain.shape == shape


def test_reshapes_split_channels_into_groups_for_a_norm() -> None:
    constants = {"split": np.int64([-1, 2, 9, 9]), "join": np.int64([-1, 4, 9, 9])}
    nodes = (
        helper.make_node("Reshape", ["x", "split"], ["a"]),
        helper.make_node("LRN", ["a"], ["b"], size=3),
        helper.make_node("Reshape", ["b", "join"], ["c"]),
        helper.make_node("LRN", ["c"], ["d"], size=3),
    )
    one, other = (
        found.layer for found in parse_chain(*nodes, shape=(4, 9, 9), constants=constants).layers
    )
    assert isinstance(one, ResponseNorm)
    assert isinstance(other, ResponseNorm)
    assert (one.groups, other.groups) == (2, 1)


def test_a_transpose_before_flatten_puts_channels_last() -> None:
    flatten = helper.make_node("Flatten", ["y"], ["z"])
    again = helper.make_node("Reshape", ["z", "whole"], ["end"])
    constants = {"whole": np.int64([-1, 3 * 9 * 9])}
    chain = parse_chain(node("Transpose", perm=[0, 2, 3, 1]), flatten, again, constants=constants)
    assert [found.layer for found in chain.layers] == [Flatten(NAME, "hwc")]


def test_tensorflows_images_are_transposed_first() -> None:
    nodes = (
        node("Transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["y", "w"], ["sequential/conv2d/BiasAdd:0"]),
    )
    constants = {"w": np.zeros((4, 3, 3, 3), np.float32)}
    chain = parse_chain(*nodes, constants=constants, is_channels_last=True)
    assert [found.layer for found in chain.layers] == [Conv(NAME, 4, 3)]
    message = "Conv 'sequential/.*' takes images with the channels last"
    with pytest.raises(ModelFileError, match=message):
        parse_chain(
            helper.make_node("Conv", ["x", "w"], ["sequential/conv2d/BiasAdd:0"]),
            constants=constants,
            is_channels_last=True,
        )


def test_a_mean_over_rows_and_columns_with_the_channels_last() -> None:
    chain = parse_chain(node("ReduceMean", "rows"), constants=AXES, is_channels_last=True)
    assert [found.layer for found in chain.layers] == [AdaptivePool(NAME, 1)]
    with pytest.raises(ModelFileError, match="is not over the rows and columns"):
        parse_chain(node("ReduceMean", "rows"), constants=AXES)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (node("Transpose", perm=[0, 3, 1, 2]), "permutes axes in another way"),
        (node("Transpose"), "permutes axes in another way"),
        (node("Flatten", axis=0), "flattens across the batch"),
        (node("Reshape", "target"), r"reshapes \[3, 9, 9\] to \[5, 7\], which is not supported"),
        (node("Squeeze", axes=[0]), r"squeezes \[3, 9, 9\]"),
    ],
)
def test_what_is_rejected(one: NodeProto, message: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^a\.onnx: .*{message}"):
        parse_chain(one, constants={"target": np.int64([5, 7])})
