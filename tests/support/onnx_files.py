"""ONNX files for tests: made of a few nodes, or another file with its graph changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from alexnet.interop.export_report import ExportReport
from alexnet.interop.onnx.chain import Chain
from alexnet.interop.onnx.parse import parse_nodes
from alexnet.models.layers import Shape


class OnnxExport(NamedTuple):
    """An exported file and its report."""

    path: Path
    report: ExportReport


OnnxExports = Callable[..., OnnxExport]
"""From a net's name to its export."""


def write_onnx(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray] | None = None,
    input_shape: Sequence[int | str] = (1, 3, 8, 8),
) -> Path:
    """A graph from "x" to the last node's output."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    onnx.save(helper.make_model(graph), path)
    return path


def edited_onnx(source: Path, target: Path, edit: Callable[[onnx.GraphProto], object]) -> Path:
    """A copy of a file with its graph changed."""
    model = onnx.load(source)
    edit(model.graph)
    onnx.save(model, target)
    return target


def onnx_ops(path: Path) -> list[str]:
    """The types of a file's nodes, in order."""
    return [node.op_type for node in onnx.load(path).graph.node]


def node(op_type: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node from "x" and constants to "y"."""
    return helper.make_node(op_type, ["x", *inputs], ["y"], **attributes)


def parse_chain(
    *nodes: onnx.NodeProto,
    shape: Shape = (3, 9, 9),
    constants: Mapping[str, np.ndarray] | None = None,
    is_channels_last: bool = False,
) -> Chain:
    """The chain of a few nodes that begins at "x"."""
    own = dict(constants or {})
    chain = Chain(Path("a.onnx"), own, "x", shape, is_channels_last=is_channels_last)
    parse_nodes(chain, nodes)
    return chain
