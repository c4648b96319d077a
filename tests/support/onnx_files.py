"""ONNX files for tests: made of a few nodes, or another file with its graph changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from alexnet.interop.exporter import ExportReport


class OnnxExport(NamedTuple):
    """An exported file and its report."""

    path: Path
    report: ExportReport


OnnxExports = Callable[..., OnnxExport]
"""From a net's name, and `with_preprocessing`, to its export."""


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
