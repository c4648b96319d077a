"""Convert ONNX networks to float16, or to 8-bit weights and activations, by onnxruntime's tools."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.config.serialization import to_json
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.agreement import ImageAgreement, measure_agreement, network_inputs
from alexnet.interop.export_module import FileOptions, network_module
from alexnet.interop.metadata import AGREEMENT
from alexnet.interop.onnx.export import finish_file, network_model, serialize
from alexnet.interop.onnx.whole_model import IMAGES
from alexnet.interop.real_images import RealImages
from alexnet.models.layers import WithinChannelLRN

Model: TypeAlias = Any
Rounding: TypeAlias = Literal["float16", "int8"]
MAX_FLOAT16 = 65504.0
FLOAT32_NODES = ("LRN",)
"""Types of nodes that stay in float32: squares could exceed float16, and runtimes support LRN in
float32 alone."""


def rounded_bytes(
    classifier: Classifier, options: FileOptions, rounding: Rounding, images: RealImages
) -> tuple[bytes, ImageAgreement]:
    """Make the file of a model in float16 or int8, and compare it with the model on real images.

    Of several ways to round, the one that agrees best is kept.

    Raises:
        UsageError: the values inside the network exceed float16, or the opset cannot be written.
        ModelFileError: the file gives values that are not finite.
    """
    module = network_module(classifier, for_onnx=True)
    network = network_model(module, classifier.network.architecture.input)
    if rounding == "float16":
        check_range(classifier, images.compared)
        candidates = {"float16": half_model(network)}
    else:
        inputs = network_inputs(classifier, images.calibration)
        candidates = {
            "int8, static": static_int8_model(network, inputs),
            "int8, dynamic": dynamic_int8_model(network),
        }
    return max(
        (_finished(classifier, options, model, name, images) for name, model in candidates.items()),
        key=lambda one: one[1].rank,
    )


def _finished(
    classifier: Classifier, options: FileOptions, model: Model, name: str, images: RealImages
) -> tuple[bytes, ImageAgreement]:
    """The file of a rounded network, with its agreement in the metadata; and the agreement."""
    import onnx

    content, run, _ = finish_file(model, classifier, options)
    agreement = measure_agreement(classifier, run, images, name, is_whole=options.takes == "image")
    metadata = {**options.metadata, AGREEMENT: to_json(agreement, indent=None)}
    return serialize(onnx.load_from_string(content), metadata), agreement


def half_model(network: Model) -> Model:
    """A network with weights and computation in float16; its input and output stay float32."""
    import onnx
    from onnxruntime.transformers import float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    copy = onnx.ModelProto()
    copy.CopyFrom(network)
    kept = [*float16.DEFAULT_OP_BLOCK_LIST, *FLOAT32_NODES]
    half = float16.convert_float_to_float16(copy, keep_io_types=True, op_block_list=kept)
    OnnxModel(half).topological_sort()  # its casts are at the end
    return half


def check_range(classifier: Classifier, pixels: np.ndarray) -> None:
    """Reject a network whose values exceed float16 on the given images.

    A runtime on a CPU may compute in float32 nevertheless, so that the overflow would not show.

    Raises:
        UsageError: a layer's values exceed float16; the message names the layer.
    """
    largest: dict[str, float] = {}

    def watch(name: str) -> Callable[..., None]:
        def see(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            largest[name] = max(largest.get(name, 0.0), float(output.abs().max()))
            if name in squares:  # it squares its input
                largest[name] = max(largest[name], float(inputs[0].abs().max()) ** 2)

        return see

    network = classifier.network
    layers = network.architecture.layers
    squares = {layer.name for layer in layers if isinstance(layer, WithinChannelLRN)}
    modules = network.layer_modules().items()
    hooks = [module.register_forward_hook(watch(name)) for name, module in modules]
    try:
        with torch.inference_mode():
            for batch in network_inputs(classifier, pixels):
                network(torch.from_numpy(batch))
    finally:
        for hook in hooks:
            hook.remove()
    for name, value in largest.items():
        if value > MAX_FLOAT16:
            raise UsageError(
                f"--half does not fit this model: values of {name} reach {value:,.0f}, and "
                f"float16 ends at {MAX_FLOAT16:,.0f}; --int8 also makes the file smaller"
            )


class CalibrationInputs:
    """A data reader with the batches for onnxruntime's calibration."""

    def __init__(self, batches: Iterator[np.ndarray]) -> None:
        self.batches = batches

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch by the name of the input; None after the last one."""
        batch = next(self.batches, None)
        return None if batch is None else {IMAGES: batch}


def static_int8_model(network: Model, inputs: Iterator[np.ndarray]) -> Model:
    """Quantize weights per channel and activations per tensor to 8 bits, with calibrated ranges."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    def quantize(source: Path, target: Path) -> None:
        quantize_static(
            source,
            target,
            CalibrationInputs(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )

    return _quantized(network, quantize)


def dynamic_int8_model(network: Model) -> Model:
    """Quantize matrix products to 8 bits: their weights, and each input by its own range."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantize(source: Path, target: Path) -> None:
        quantize_dynamic(
            source, target, op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8
        )

    return _quantized(network, quantize)


def _quantized(network: Model, quantize: Callable[[Path, Path], None]) -> Model:
    """Quantize a network with a function that reads and writes files."""
    import onnx

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # onnxruntime's advice is for its own command line
    try:
        with TemporaryDirectory() as folder:
            source, target = Path(folder) / "network.onnx", Path(folder) / "quantized.onnx"
            onnx.save(network, source)
            quantize(source, target)
            return onnx.load(target)
    finally:
        root.setLevel(level)
