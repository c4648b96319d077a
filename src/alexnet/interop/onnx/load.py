"""Load an ONNX file, converted to float32 and to an opset that this package reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from alexnet.errors import ModelFileError
from alexnet.interop.onnx.constants import tensor_array
from alexnet.interop.onnx.whole_model import cut_network, is_whole
from alexnet.io.files import open_regular, read_regular
from alexnet.io.limits import MAX_ONNX_BYTES
from alexnet.io.text import error_text, is_file_name, short_repr
from alexnet.runtime.extras import require_extra

Model: TypeAlias = Any
Graph: TypeAlias = Any
Tensor: TypeAlias = Any
OLDEST_OPSET = 7
"""Opset to which older files are converted, since their broadcasting has other rules."""
MAX_NODES = 1 << 14
"""Nodes that a graph may have after inlining; nested functions could make any number."""
QUANTIZED_NODES = {"DequantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv", "QGemm"}
OTHER_FLOATS = ("FLOAT16", "BFLOAT16", "DOUBLE")


def load_onnx(path: Path) -> tuple[Model, list[str]]:
    """Load and check a file's model, in float32 and without functions.

    If the file includes the preprocessing, the model is the network alone.

    Returns:
        The model, and sentences on what was changed.

    Raises:
        ModelFileError: the file is missing, damaged, or too new for the installed onnx package.
        UsageError: the onnx package is not installed.
    """
    require_extra("onnx", "onnx", "reading ONNX files")
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    import onnx

    try:
        model = _parsed(path, read_regular(path, MAX_ONNX_BYTES))
        _check_age(path, model)
        _check_external_data(path, model)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
        model = _inlined(path, model)
        _reject_quantized(path, model)
        if is_whole(model):
            model = cut_network(model)
    except ModelFileError:
        raise
    except Exception as error:  # protobuf and the checker raise many kinds
        raise ModelFileError(
            f"{path} cannot be read as an ONNX file: {error_text(error)}"
        ) from error
    notes: list[str] = []
    model = _in_known_opset(path, model, notes)
    _to_float32(model, notes)
    return model, notes


def _parsed(path: Path, content: bytes) -> Model:
    """Parse the bytes of a file.

    Raises:
        ModelFileError: the bytes are no ONNX model, or not all of one.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_from_string(content)
    except DecodeError:
        model = onnx.ModelProto()
    if not model.graph.node:
        problem = "it is damaged or not complete, or no ONNX file" if content else "it is empty"
        raise ModelFileError(f"{path} cannot be read as an ONNX file: {problem}")
    return model


def _reject_quantized(path: Path, model: Model) -> None:
    """Raise ModelFileError for a network with quantized weights."""
    if any(node.op_type in QUANTIZED_NODES for node in model.graph.node):
        raise ModelFileError(
            f"{path} has weights of 8 bits, which are rounded; import the file that it was made "
            "from, or one in float32 or float16"
        )


def opset_of(model: Model) -> int:
    """The opset of ONNX's own domain that a model uses."""
    versions = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
    return max(versions, default=1)


def _check_age(path: Path, model: Model) -> None:
    """Reject files that are newer than the installed onnx package."""
    import onnx

    opset, newest = opset_of(model), onnx.defs.onnx_opset_version()
    if opset > newest or model.ir_version > onnx.IR_VERSION:
        raise ModelFileError(
            f"{path} has opset {opset} and IR version {model.ir_version}; the installed onnx "
            f"{onnx.__version__} reads up to opset {newest} and IR version {onnx.IR_VERSION}: "
            "update it (pip install -U onnx onnxruntime), or export the file with an older opset"
        )


def _in_known_opset(path: Path, model: Model, notes: list[str]) -> Model:
    """The model, converted to OLDEST_OPSET if its opset is older."""
    import onnx

    opset = opset_of(model)
    if opset >= OLDEST_OPSET:
        return model
    try:
        converted = onnx.version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # the converter raises many kinds
        raise ModelFileError(
            f"{path} has opset {opset}, and onnx cannot convert its nodes to a newer one; "
            f"export it again with opset {OLDEST_OPSET} or newer"
        ) from error
    notes.append(f"the file has opset {opset} and was converted to {OLDEST_OPSET}")
    return converted


def _inlined(path: Path, model: Model) -> Model:
    """A model with its functions' nodes in the place of the calls."""
    import onnx.inliner

    if not model.functions:
        return model
    functions = {(one.domain, one.name): one for one in model.functions}

    @cache
    def count(domain: str, name: str) -> int:
        function = functions.get((domain, name))
        inner = function.node if function is not None else ()
        return sum(count(node.domain, node.op_type) for node in inner) or 1

    if sum(count(node.domain, node.op_type) for node in model.graph.node) > MAX_NODES:
        raise ModelFileError(f"{path} has functions of more than {MAX_NODES:,} nodes")
    return onnx.inliner.inline_local_functions(model)


def graphs_of(graph: Graph) -> Iterator[Graph]:
    """A graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.initializer:
                    yield from graphs_of(inner)


def _tensors_of(model: Model) -> Iterator[Tensor]:
    """All constants of a model: initializers, and those inside nodes."""
    nodes = [node for function in model.functions for node in function.node]
    for graph in graphs_of(model.graph):
        yield from graph.initializer
        nodes += graph.node
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _check_external_data(path: Path, model: Model) -> None:
    """Reject constants in another file, unless that is a regular file in the same folder.

    Raises:
        ModelFileError: the other file is missing.
        ValueError: the other file is elsewhere or too large; the message names it.
        OSError: the other file cannot be read, or is not a regular file.
    """
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    for tensor in _tensors_of(model):
        if not uses_external_data(tensor):
            continue
        name = ExternalDataInfo(tensor).location
        if not is_file_name(name) or (path.parent / name).is_symlink():
            raise ValueError(f"its constants are in {short_repr(name)}, not in the same folder")
        if not (path.parent / name).exists():
            raise ModelFileError(
                f"{path} keeps its constants in {short_repr(name)}, which is missing; "
                "put both files in one folder"
            )
        with open_regular(path.parent / name) as file:
            if os.fstat(file.fileno()).st_size > MAX_ONNX_BYTES:
                raise ValueError(
                    f"its constants in {short_repr(name)} exceed {MAX_ONNX_BYTES:,} bytes"
                )


def _to_float32(model: Model, notes: list[str]) -> None:
    """Change all floating-point numbers and types of a model to float32, in place."""
    from onnx import TensorProto, numpy_helper

    others = {TensorProto.DataType.Value(name): name.lower() for name in OTHER_FLOATS}
    found = set()
    for tensor in _tensors_of(model):
        if tensor.data_type in others:
            found.add(others[tensor.data_type])
            tensor.CopyFrom(numpy_helper.from_array(tensor_array(tensor), tensor.name))
    for graph in graphs_of(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.tensor_type.elem_type in others:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        for attribute in (a for node in graph.node for a in node.attribute):
            if attribute.name in ("to", "dtype") and attribute.i in others:
                attribute.i = TensorProto.FLOAT
    if found:
        notes.append(f"the file's {' and '.join(sorted(found))} numbers are read as float32")
