"""Write a torch module as an ONNX file."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from alexnet.errors import UsageError
from alexnet.interop.export_module import DEFAULT_OPTIONS, FileOptions, quiet_export
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import Runner
from alexnet.models.layers import Shape

OPSET = 18
"""The oldest that torch's exporter writes without a conversion; most runtimes support it."""
OLDEST_OPSET = 15
"""The oldest to which onnx converts our networks."""


def onnx_bytes(
    module: nn.Module, shape: Shape, options: FileOptions = DEFAULT_OPTIONS
) -> tuple[bytes, Runner, str]:
    """The ONNX file of a module, what an ONNX runtime computes from it, and that runtime.

    Args:
        module: takes float32 images [any batch, *shape].
        shape: (channels, height, width).
        options: their metadata become the model's `metadata_props`.

    Raises:
        UsageError: the opset cannot be written, or the installed runtime does not support it.
    """
    example = torch.zeros(2, *shape)
    with quiet_export(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    if options.opset is not None:
        return with_opset(model, options.opset, options)
    content = _serialized(model, options)
    run, runtime = onnx_runner(content)
    return content, run, runtime


def _serialized(model: Any, options: FileOptions) -> bytes:
    """The file's content, with metadata."""
    from onnx.helper import set_model_props

    set_model_props(model, dict(options.metadata))
    return bytes(model.SerializeToString())


def with_opset(model: Any, opset: int, options: FileOptions) -> tuple[bytes, Runner, str]:
    """A model in another opset, and in the oldest file format that has it; as `onnx_bytes`."""
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise UsageError(f"--opset {opset} must be from {OLDEST_OPSET} to {newest}")
    try:
        converted = onnx.version_converter.convert_version(model, opset)
        converted.ir_version = onnx.helper.find_min_ir_version_for(converted.opset_import)
        onnx.checker.check_model(converted)
        content = _serialized(converted, options)
        run, runtime = onnx_runner(content)
    except Exception as error:  # the converter and each runtime raise their own kinds
        raise UsageError(
            f"--opset {opset} cannot be written, or not be run by the installed runtime; "
            f"leave it out for opset {OPSET}"
        ) from error
    return content, run, runtime
