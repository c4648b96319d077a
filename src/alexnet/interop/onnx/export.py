"""Write a classifier as an ONNX file."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.export_module import (
    FileOptions,
    Preprocess,
    example_image,
    network_module,
    quiet_export,
)
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.onnx.whole_model import IMAGE, IMAGES, LOGITS, add_preprocessing
from alexnet.interop.parity import Runner
from alexnet.models.layers import Shape

Model: TypeAlias = Any
OPSET = 18
"""The oldest opset that torch's exporter writes without a conversion; most runtimes support it."""
OLDEST_OPSET = 15
"""The oldest opset to which onnx can convert our networks."""


def onnx_bytes(classifier: Classifier, options: FileOptions) -> tuple[bytes, Runner, str]:
    """The ONNX file of a model, a function that runs it, and the name of the runtime.

    Raises:
        UsageError: the opset cannot be written, or the installed runtime does not support it.
    """
    module = network_module(classifier, for_onnx=True)
    network = network_model(module, classifier.network.architecture.input)
    return finish_file(network, classifier, options)


def finish_file(
    network: Model, classifier: Classifier, options: FileOptions
) -> tuple[bytes, Runner, str]:
    """Make the file of a network's ONNX model as the options ask; returns as `onnx_bytes`."""
    import onnx

    model = network
    if options.takes == "image":
        front = preprocessing_model(classifier)
        model = add_preprocessing(network, front, classifier.info.temperature)
    if options.opset is not None:
        return with_opset(model, options.opset, options)
    onnx.checker.check_model(model)
    content = serialize(model, options.metadata)
    run, runtime = onnx_runner(content)
    return content, run, runtime


def network_model(module: nn.Module, shape: Shape) -> Model:
    """The ONNX model of a network: from float32 images [any batch, *shape] to logits."""
    axes = ({0: torch.export.Dim("batch")},)
    return _traced(module, torch.zeros(2, *shape), axes, (IMAGES, LOGITS))


def preprocessing_model(classifier: Classifier) -> Model:
    """The ONNX model of the preprocessing: from uint8 [H, W, 3] to float32 [1, C, side, side]."""
    example, axes = example_image()
    return _traced(Preprocess(classifier), example, axes, (IMAGE, IMAGES))


def _traced(module: nn.Module, example: Tensor, axes: Any, names: tuple[str, str]) -> Model:
    """The ONNX model of a module of one input and one output, with their names."""
    with quiet_export(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_shapes=axes,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def serialize(model: Model, metadata: dict[str, str]) -> bytes:
    """The bytes of a model's file, with metadata."""
    from onnx.helper import set_model_props

    set_model_props(model, metadata)
    return bytes(model.SerializeToString())


def with_opset(model: Model, opset: int, options: FileOptions) -> tuple[bytes, Runner, str]:
    """Convert a model to another opset and its oldest IR version; returns as `onnx_bytes`."""
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise UsageError(f"--opset {opset} must be from {OLDEST_OPSET} to {newest}")
    try:
        converted = onnx.version_converter.convert_version(model, opset)
        converted.ir_version = onnx.helper.find_min_ir_version_for(converted.opset_import)
        onnx.checker.check_model(converted)
        content = serialize(converted, options.metadata)
        run, runtime = onnx_runner(content)
    except Exception as error:  # the converter and each runtime raise their own kinds
        raise UsageError(
            f"--opset {opset} cannot be written, or not be run by the installed runtime; "
            f"leave it out for opset {OPSET}"
        ) from error
    return content, run, runtime
