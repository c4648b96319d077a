"""Adaptive pools whose windows overlap, as torch's exporter writes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import NodeProto, helper

from alexnet.errors import ModelFileError
from alexnet.interop.onnx.adaptive_pools import output_size_of
from alexnet.interop.onnx.chain import NAME
from alexnet.models.layers import AdaptivePool
from support.onnx_files import node, parse_chain


def windows(side: int, size: int, length: int) -> np.ndarray:
    """(row, column) of the pixels of each window, [size, length, size, length, 2]."""
    starts = [i * side // size for i in range(size)]
    pixels = np.add.outer(starts, np.arange(length))
    rows, columns = np.broadcast_arrays(pixels[:, :, None, None], pixels[None, None])
    return np.stack([rows, columns], -1)


@pytest.mark.parametrize(("side", "size", "length"), [(7, 6, 2), (13, 6, 3), (9, 6, 2), (12, 6, 2)])
def test_the_pixels_are_those_of_torch(side: int, size: int, length: int) -> None:
    indices = windows(side, size, length)
    assert output_size_of(indices, (side, side)) == size
    image = torch.rand(1, 1, side, side)
    mean = image[0, 0].numpy()[indices[..., 0], indices[..., 1]].mean((1, 3))
    expected = torch.nn.functional.adaptive_avg_pool2d(image, size)[0, 0]
    np.testing.assert_allclose(mean, expected, rtol=1e-5)


def test_other_pixels() -> None:
    indices = windows(7, 6, 2)
    assert output_size_of(indices[::-1], (7, 7)) == 0
    assert output_size_of(indices, (7, 8)) == 0
    assert output_size_of(indices, (8, 8)) == 0
    assert output_size_of(windows(10, 6, 2), (10, 10)) == 0, "its windows differ in size"
    assert output_size_of(indices[0], (7, 7)) == 0


CONSTANTS = {"pixels": windows(7, 6, 2), "axes": np.int64([-3, -1])}


def nodes(perm: tuple[int, ...] = (4, 5, 0, 1, 2, 3), keepdims: int = 0) -> list[NodeProto]:
    return [
        node("Transpose", perm=[2, 3, 0, 1]),
        helper.make_node("GatherND", ["y", "pixels"], ["g"]),
        helper.make_node("Transpose", ["g"], ["t"], perm=perm),
        helper.make_node("ReduceMean", ["t", "axes"], ["mean"], keepdims=keepdims),
    ]


def test_four_nodes_are_one_pool() -> None:
    chain = parse_chain(*nodes(), shape=(4, 7, 7), constants=CONSTANTS)
    assert [one.layer for one in chain.layers] == [AdaptivePool(NAME, 6)]
    assert (chain.shape, chain.current) == ((4, 6, 6), "mean")


@pytest.mark.parametrize(
    "broken",
    [
        nodes(perm=(5, 4, 0, 1, 2, 3)),
        nodes(keepdims=1),
        [nodes()[0], nodes()[3]],
        [nodes()[0], helper.make_node("Relu", ["y"], ["r"])],
        [nodes()[0], nodes()[1], helper.make_node("Transpose", ["y"], ["t"], perm=range(6))],
    ],
)
def test_other_nodes_are_rejected(broken: list[NodeProto]) -> None:
    with pytest.raises(
        ModelFileError, match="Transpose 'y' permutes axes as an adaptive pool does"
    ):
        parse_chain(*broken, shape=(4, 7, 7), constants=CONSTANTS)


def test_a_file_that_ends_inside() -> None:
    with pytest.raises(ModelFileError, match="Transpose 'y' begins a layer that the file does not"):
        parse_chain(nodes()[0], shape=(4, 7, 7), constants=CONSTANTS)
