"""Read an ONNX file: its input, its constants, and its nodes as a chain of layers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from alexnet.config.serialization import short_repr
from alexnet.errors import ArchitectureError, ModelFileError
from alexnet.interop.match import ParsedLayer
from alexnet.interop.onnx.nodes import ChainParser, Node, attributes_of, describe
from alexnet.io.files import open_regular, read_regular
from alexnet.io.limits import MAX_ONNX_BYTES
from alexnet.io.text import error_text, is_file_name
from alexnet.models.layers import Shape
from alexnet.runtime.extras import require_extra

MAX_BATCH_SIZE = 256
MAX_COMPUTED_VALUES = 1 << 28
"""The most values that constant nodes may compute (fc6 of the paper has 38 million)."""
Model: TypeAlias = Any
SHAPE_OPS = {"Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast", "Mul"}
"""Nodes with which older exporters compute the target shape of a Reshape."""


@dataclass(frozen=True, eq=False)
class Graph:
    """The content of an ONNX file."""

    model: Model
    layers: tuple[ParsedLayer, ...]
    input_name: str
    input_shape: Shape
    """(channels, height, width)."""
    batch_size: int
    """The only batch size that the graph takes; 0: any."""
    logits_name: str
    """The last value, or the one before a final softmax."""


def read_graph(path: Path) -> Graph:
    """Read the layers of an ONNX file, in order.

    Raises:
        ModelFileError: the file is damaged, or has a node that is not a layer here.
        UsageError: the onnx package is not installed.
    """
    model = _load(path)
    try:
        return _parse(path, model)
    except ArchitectureError as error:
        raise ModelFileError(f"{path} does not fit its own input: {error}") from error
    except ModelFileError:
        raise
    except Exception as error:  # constants and attributes may be anything
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ModelFileError(f"{path} has a node that cannot be read ({reason})") from error


def _parse(path: Path, model: Model) -> Graph:
    constants, nodes = _fold_constants(path, model)
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    if len(inputs) != 1 or not nodes:
        raise ModelFileError(
            f"{path} has {len(inputs)} inputs and {len(nodes)} layers; "
            "exactly one input and at least one layer are expected"
        )
    batch_size, shape = _input_size(path, inputs[0])
    parser = ChainParser(path, constants, inputs[0].name, shape)
    parser.parse(nodes[:-1] if nodes[-1].op_type == "Softmax" else nodes)
    last = nodes[-1].output[0]
    if [value.name for value in model.graph.output] != [last]:
        raise ModelFileError(f"{path} has other outputs than that of its last node, {last!r}")
    layers = tuple(parser.layers)
    return Graph(model, layers, inputs[0].name, shape, batch_size, parser.current)


def _input_size(path: Path, value: Any) -> tuple[int, Shape]:
    """(batch size, (channels, height, width)) of a graph's input."""
    batch_size, *shape = (size.dim_value for size in value.type.tensor_type.shape.dim)
    if len(shape) != 3 or min(shape) < 1:
        raise ModelFileError(
            f"{path} takes {value.name!r} of shape {[batch_size, *shape]}; "
            "expected images [batch, channels, height, width] of a fixed size"
        )
    if not 0 <= batch_size <= MAX_BATCH_SIZE:
        raise ModelFileError(f"{path} has batch size {batch_size:,}, not 0 to {MAX_BATCH_SIZE}")
    return batch_size, tuple(shape)


def _load(path: Path) -> Model:
    require_extra("onnx", "onnx", "reading ONNX files")
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    import onnx

    try:
        model = onnx.load_from_string(read_regular(path, MAX_ONNX_BYTES))
        _check_external_data(path, model)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise many kinds
        raise ModelFileError(
            f"{path} cannot be read as an ONNX file: {error_text(error)}"
        ) from error
    return model


def _check_external_data(path: Path, model: Model) -> None:
    """Reject constants in another file, unless that is a regular file in the same folder.

    Raises:
        ValueError: the other file is elsewhere or too large; it is named.
        OSError: it cannot be read, or is not a regular file.
    """
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    for tensor in model.graph.initializer:
        if not uses_external_data(tensor):
            continue
        name = ExternalDataInfo(tensor).location
        if not is_file_name(name) or (path.parent / name).is_symlink():
            raise ValueError(f"its constants are in {short_repr(name)}, not in the same folder")
        with open_regular(path.parent / name) as file:
            if os.fstat(file.fileno()).st_size > MAX_ONNX_BYTES:
                raise ValueError(
                    f"its constants in {short_repr(name)} exceed {MAX_ONNX_BYTES:,} bytes"
                )


def _fold_constants(path: Path, model: Model) -> tuple[dict[str, np.ndarray], list[Node]]:
    """The values that do not depend on the images, and the nodes that process images."""
    from onnx import numpy_helper

    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    shape_values: set[str] = set()
    nodes, num_computed = [], 0
    for node in model.graph.node:
        if node.op_type in CONSTANT_OPS and all(name in constants for name in node.input):
            value = CONSTANT_OPS[node.op_type](path, node, constants)
            constants[node.output[0]] = value
            num_computed += value.size
            if num_computed > MAX_COMPUTED_VALUES:
                raise ModelFileError(
                    f"{path}: its constant nodes compute {num_computed:,} values; "
                    f"at most {MAX_COMPUTED_VALUES:,} are allowed"
                )
        elif _computes_shape(node, shape_values, constants):
            shape_values.update(node.output)
        else:
            nodes.append(node)
    return constants, nodes


def _computes_shape(node: Node, shape_values: set[str], constants: dict[str, np.ndarray]) -> bool:
    """Whether a node only computes a shape, from a value's shape and constants."""
    inputs = [name for name in node.input if name not in constants]
    return node.op_type == "Shape" or (
        node.op_type in SHAPE_OPS and all(name in shape_values for name in inputs)
    )


def _constant(path: Path, node: Node, constants: dict[str, np.ndarray]) -> np.ndarray:
    from onnx import numpy_helper

    attributes = attributes_of(node)
    if "value" in attributes:
        return np.asarray(numpy_helper.to_array(attributes["value"]))
    return np.asarray(next(iter(attributes.values())))


def _constant_of_shape(path: Path, node: Node, constants: dict[str, np.ndarray]) -> np.ndarray:
    from onnx import numpy_helper

    shape = tuple(int(n) for n in constants[node.input[0]])
    if prod(shape) > MAX_COMPUTED_VALUES or min(shape, default=1) < 0:
        raise ModelFileError(
            f"{path}: {describe(node)} makes an array of shape {short_repr(shape)}; "
            f"at most {MAX_COMPUTED_VALUES:,} values are allowed"
        )
    value = attributes_of(node).get("value")
    fill = numpy_helper.to_array(value).ravel()[0] if value is not None else np.float32(0)
    return np.broadcast_to(fill, shape)


def _identity(path: Path, node: Node, constants: dict[str, np.ndarray]) -> np.ndarray:
    return constants[node.input[0]]


def _transposed(path: Path, node: Node, constants: dict[str, np.ndarray]) -> np.ndarray:
    return constants[node.input[0]].transpose(attributes_of(node).get("perm"))


CONSTANT_OPS: dict[str, Callable[[Path, Node, dict[str, np.ndarray]], np.ndarray]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": _identity,
    "Transpose": _transposed,
}


def drop_softmax(graph: Graph) -> bytes:
    """The serialized graph without its softmax; its only output is the logits."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    nodes = [node for node in model.graph.node if node.op_type != "Softmax"]
    if len(nodes) < len(model.graph.node):
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        del model.graph.output[:]
        output = onnx.helper.make_tensor_value_info(graph.logits_name, onnx.TensorProto.FLOAT, None)
        model.graph.output.append(output)
    return bytes(model.SerializeToString())
