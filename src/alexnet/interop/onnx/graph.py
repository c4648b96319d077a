"""Read an ONNX file: its input, and its nodes as a chain of layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.errors import ModelFileError
from alexnet.interop.match import ParsedLayer
from alexnet.interop.onnx.chain import Chain
from alexnet.interop.onnx.constants import tensor_array
from alexnet.interop.onnx.load import Model, load_onnx
from alexnet.interop.onnx.normalization import InputNormalization, input_normalization
from alexnet.interop.onnx.parse import parse_nodes
from alexnet.io.text import error_text
from alexnet.models.layers import Shape

MAX_BATCH_SIZE = 256
COLOR_CHANNELS = (1, 3)


@dataclass(frozen=True, eq=False)
class Graph:
    """The content of an ONNX file."""

    model: Model
    layers: tuple[ParsedLayer, ...]
    input_name: str
    input_shape: Shape
    """Shape of the input: (channels, height, width)."""
    batch_size: int
    """The only batch size that the graph takes; 0: any."""
    logits_name: str
    """Name of the last value, or of the one before a final softmax or sigmoid of one output."""
    num_outputs: int
    """Number of logits."""
    is_channels_last: bool = False
    """Whether the graph takes images [batch, height, width, channels]."""
    normalization: InputNormalization | None = None
    """How the graph normalizes its images; None if it takes normalized images."""
    notes: tuple[str, ...] = ()
    """Sentences on what was left out or changed."""


def read_graph(path: Path, default_input: Shape | None = None) -> Graph:
    """Read the layers of an ONNX file, in order.

    Args:
        path: the file.
        default_input: (channels, height, width) of the input where the file leaves them open.

    Raises:
        ModelFileError: the file is damaged, or has a node that is not a layer here.
        UsageError: the onnx package is not installed.
    """
    model, notes = load_onnx(path)
    try:
        return _parse(path, model, notes, default_input)
    except ModelFileError:
        raise
    except Exception as error:  # constants and the input may be anything
        raise ModelFileError(
            f"{path} has a value that cannot be read: {error_text(error)}"
        ) from error


def _parse(path: Path, model: Model, notes: list[str], default_input: Shape | None) -> Graph:
    constants = {tensor.name: tensor_array(tensor) for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1 or not model.graph.node:
        raise ModelFileError(
            f"{path} has {len(inputs)} inputs and {len(model.graph.node)} nodes; "
            "exactly one input and at least one node are expected"
        )
    batch_size, shape, is_last = _input_size(path, inputs[0], default_input)
    chain = Chain(
        path,
        constants,
        inputs[0].name,
        shape,
        batch_size=batch_size or 1,
        is_channels_last=is_last,
        notes=notes,
    )
    parse_nodes(chain, model.graph.node)
    if [value.name for value in model.graph.output] != [chain.current]:
        raise ModelFileError(
            f"{path} has other outputs than that of its last node, {chain.current!r}"
        )
    return Graph(
        model,
        tuple(chain.layers),
        inputs[0].name,
        shape,
        batch_size,
        chain.logits or chain.current,
        chain.shape[0],
        is_channels_last=is_last,
        normalization=input_normalization(chain),
        notes=tuple(chain.notes),
    )


def _input_size(path: Path, value: Any, default_input: Shape | None) -> tuple[int, Shape, bool]:
    """Batch size, (channels, height, width), and whether the channels are last, of an input."""
    from onnx import TensorProto

    batch_size, *sizes = (size.dim_value for size in value.type.tensor_type.shape.dim)
    is_last = len(sizes) == 3 and sizes[2] in COLOR_CHANNELS and sizes[0] not in COLOR_CHANNELS
    shape = (sizes[2], *sizes[:2]) if is_last else tuple(sizes)
    if default_input and len(shape) == 3:
        shape = tuple(size or default for size, default in zip(shape, default_input, strict=True))
    if len(shape) != 3 or min(shape) < 1:
        raise ModelFileError(
            f"{path} takes {value.name!r} of shape {[batch_size, *sizes]}; "
            "expected images [batch, channels, height, width] or [batch, height, width, channels]"
        )
    if not 0 <= batch_size <= MAX_BATCH_SIZE:
        raise ModelFileError(f"{path} has batch size {batch_size:,}, not 0 to {MAX_BATCH_SIZE}")
    if value.type.tensor_type.elem_type != TensorProto.FLOAT:
        name = TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        raise ModelFileError(f"{path} takes {value.name!r} of type {name}; expected float images")
    return batch_size, shape, is_last


def logits_model(graph: Graph) -> bytes:
    """The serialized graph in inference mode, whose only output is the logits."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    for node in model.graph.node:
        if node.op_type == "Dropout":
            del node.input[1:], node.output[1:]
        if node.op_type == "BatchNormalization":
            del node.output[1:]
            kept = [one for one in node.attribute if one.name != "training_mode"]
            del node.attribute[:]
            node.attribute.extend(kept)
    if graph.logits_name != model.graph.output[0].name:
        output = onnx.helper.make_tensor_value_info(graph.logits_name, onnx.TensorProto.FLOAT, None)
        del model.graph.output[:]
        model.graph.output.append(output)
    return bytes(model.SerializeToString())
