"""An ONNX file as a chain of layers: its input, its constants, and its nodes in order."""

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
from alexnet.interop.match import Found
from alexnet.interop.onnx.nodes import Node, Walk, attributes_of, where
from alexnet.io.files import open_regular, read_regular
from alexnet.io.limits import MAX_ONNX_BYTES
from alexnet.io.text import is_file_name
from alexnet.models.layers import Shape
from alexnet.runtime.extras import require_extra

LARGEST_BATCH = 256
LARGEST_VALUES = 1 << 28
"""The most values that nodes may make beside the chain (fc6 of the paper has 38 million)."""
Model: TypeAlias = Any
SHAPE_OPS = {"Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast", "Mul"}
"""How older exporters reckon the target of a Reshape beside the chain."""


@dataclass(frozen=True, eq=False)
class Graph:
    """What a file says."""

    model: Model
    found: tuple[Found, ...]
    input_name: str
    input: Shape
    """(channels, height, width)."""
    batch: int
    """The one batch size that the graph takes, 0 for any."""
    logits_name: str
    """The last value before a softmax at the end."""


def read_graph(path: Path) -> Graph:
    """The layers of an ONNX file, in order.

    Raises:
        ModelFileError: damaged, or with a node that no network here has.
        UsageError: the onnx package is not installed.
    """
    model = _load(path)
    try:
        return _graph(path, model)
    except ArchitectureError as error:
        raise ModelFileError(f"{path} does not fit its own input: {error}") from error
    except ModelFileError:
        raise
    except Exception as error:  # constants and attributes may be anything
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ModelFileError(f"{path} has a node that cannot be read ({reason})") from error


def _graph(path: Path, model: Model) -> Graph:
    constants, nodes = _split(path, model)
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    if len(inputs) != 1 or not nodes:
        raise ModelFileError(f"{path} has {len(inputs)} inputs and {len(nodes)} layers")
    batch, *shape = (size.dim_value for size in inputs[0].type.tensor_type.shape.dim)
    if len(shape) != 3 or min(shape) < 1:
        raise ModelFileError(
            f"{path} takes {inputs[0].name!r} of shape {[batch, *shape]}; "
            "pictures [batch, channels, height, width] of a fixed size are read"
        )
    if not 0 <= batch <= LARGEST_BATCH:
        raise ModelFileError(f"{path} takes {batch:,} pictures at once, not 0 to {LARGEST_BATCH}")
    is_softmax = nodes[-1].op_type == "Softmax"
    walk = Walk(path, constants, inputs[0].name, (shape[0], shape[1], shape[2]))
    walk.take_all(nodes[:-1] if is_softmax else nodes)
    last = nodes[-1].output[0]
    if [value.name for value in model.graph.output] != [last]:
        raise ModelFileError(f"{path} has other outputs than the end of its chain, {last!r}")
    return Graph(model, tuple(walk.found), inputs[0].name, walk.input, batch, walk.current)


def _load(path: Path) -> Model:
    require_extra("onnx", "onnx", "reading ONNX files")
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    import onnx

    try:
        model = onnx.load_from_string(read_regular(path, MAX_ONNX_BYTES))
        _check_beside(path, model)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise many kinds
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelFileError(f"{path} cannot be read as an ONNX file: {reason}") from error
    return model


def _check_beside(path: Path, model: Model) -> None:
    """Refuse constants that lie in another file, unless it is a whole file in the same folder.

    Raises:
        ValueError: names the place.
        OSError: it cannot be read, or is no regular file.
    """
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    for tensor in model.graph.initializer:
        if not uses_external_data(tensor):
            continue
        name = ExternalDataInfo(tensor).location
        if not is_file_name(name) or (path.parent / name).is_symlink():
            raise ValueError(f"its constants lie in {short_repr(name)}, which is not beside it")
        with open_regular(path.parent / name) as file:
            if os.fstat(file.fileno()).st_size > MAX_ONNX_BYTES:
                raise ValueError(f"its constants in {short_repr(name)} are too large")


def _split(path: Path, model: Model) -> tuple[dict[str, np.ndarray], list[Node]]:
    """The values that do not depend on the input, and the nodes of the chain."""
    from onnx import numpy_helper

    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    beside: set[str] = set()
    nodes, made = [], 0
    for node in model.graph.node:
        if node.op_type in CONSTANT_OPS and all(name in constants for name in node.input):
            value = CONSTANT_OPS[node.op_type](path, node, constants)
            constants[node.output[0]] = value
            made += value.size
            if made > LARGEST_VALUES:
                raise ModelFileError(f"{path}: its nodes make {made:,} values; that is too much")
        elif _is_beside(node, beside, constants):
            beside.update(node.output)
        else:
            nodes.append(node)
    return constants, nodes


def _is_beside(node: Node, beside: set[str], constants: dict[str, np.ndarray]) -> bool:
    """Whether a node only reckons a shape."""
    reckoned = [name for name in node.input if name not in constants]
    return node.op_type == "Shape" or (
        node.op_type in SHAPE_OPS and all(name in beside for name in reckoned)
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
    if prod(shape) > LARGEST_VALUES or min(shape, default=1) < 0:
        raise ModelFileError(
            f"{path}: {where(node)} makes an array of {short_repr(shape)}; that is too much"
        )
    value = attributes_of(node).get("value")
    fill = numpy_helper.to_array(value).ravel()[0] if value is not None else np.float32(0)
    return np.broadcast_to(fill, shape)


def _same_constant(path: Path, node: Node, constants: dict[str, np.ndarray]) -> np.ndarray:
    return constants[node.input[0]]


def _turned_constant(path: Path, node: Node, constants: dict[str, np.ndarray]) -> np.ndarray:
    return constants[node.input[0]].transpose(attributes_of(node).get("perm"))


CONSTANT_OPS: dict[str, Callable[[Path, Node, dict[str, np.ndarray]], np.ndarray]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": _same_constant,
    "Transpose": _turned_constant,
}


def drop_softmax(graph: Graph) -> bytes:
    """The graph, serialised, with its logits as the only output."""
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
