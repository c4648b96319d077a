"""Read a Caffe model: its layers, matched with an architecture, and its weights.

The file holds the training network: data and loss layers are skipped. Field numbers are those
of Caffe's `caffe.proto`, of both its forms: `layers` (V1LayerParameter, until 2014) and `layer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ArchitectureError, ConfigError, ModelFileError
from alexnet.interop.caffe.protobuf import (
    Message,
    floats,
    integer,
    integers,
    number,
    parse,
    sub_message,
    sub_messages,
    text,
)
from alexnet.interop.match import MatchedModel, ParsedLayer, match_layers
from alexnet.interop.one_output import as_two_classes
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_INPUT_SIDE, MAX_LAYERS, MAX_ONNX_BYTES
from alexnet.io.text import error_text, printable
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    Activation,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)

ActivationFunction: TypeAlias = Literal["relu", "tanh", "sigmoid"]
V1_LAYERS, LAYERS = 2, 100
"""Fields of NetParameter."""
V1_PARAMETERS = {"convolution": 10, "inner_product": 17, "lrn": 18, "pooling": 19, "transform": 36}
PARAMETERS = {
    "convolution": 106, "inner_product": 117, "lrn": 118, "pooling": 121, "transform": 100,
}  # fmt: skip
"""Fields of V1LayerParameter and of LayerParameter."""
SCALE, MEAN_FILE, MEAN_VALUE = 1, 4, 5
"""Fields of TransformationParameter."""
PUBLISHED_MEAN = "the published mean color is taken"
V1_TYPES = {
    4: "Convolution", 5: "Data", 6: "Dropout", 8: "Flatten", 12: "ImageData", 14: "InnerProduct",
    15: "LRN", 17: "Pooling", 18: "ReLU", 19: "Sigmoid", 20: "Softmax", 21: "SoftmaxWithLoss",
    22: "Split", 23: "TanH", 27: "SigmoidCrossEntropyLoss", 1: "Accuracy",
}  # fmt: skip
"""Names of types by their number in V1LayerParameter.LayerType."""
PASSED_OVER = {
    "Data", "ImageData", "Input", "HDF5Data", "DummyData", "MemoryData", "Split", "Accuracy",
    "Softmax", "SoftmaxWithLoss", "Silence", "Python",
}  # fmt: skip
"""Layers of the training network that compute no logits."""
ACTIVATIONS: dict[str, ActivationFunction] = {
    "ReLU": "relu", "Sigmoid": "sigmoid", "TanH": "tanh", "SigmoidCrossEntropyLoss": "sigmoid",
}  # fmt: skip


@dataclass(frozen=True)
class CaffeLayer:
    """A layer as the file has it."""

    name: str
    type: str
    blobs: tuple[np.ndarray, ...]
    """Weights and biases."""
    parameters: dict[str, Message]
    """Parameters by Caffe's names: convolution, inner_product, lrn, pooling, transform."""


def read_caffe(
    path: Path, arch: Architecture, input_size: int | None = None, *, is_bgr: bool = True
) -> MatchedModel:
    """Read the model in a `.caffemodel`; its weights keep the order of colors of its training.

    Args:
        path: the file.
        arch: the architecture that the file must match; widths come from the file.
        input_size: side of the input in pixels; None: as published.
        is_bgr: whether that order is blue, green, red; the preprocessing is given for RGB.

    Raises:
        ModelFileError: the file is damaged, or another network; the message names the first
            mismatch.
    """
    try:
        layers = [*_layers(parse(memoryview(read_regular(path, MAX_ONNX_BYTES))))]
        parsed = _without_output_sigmoid([*_parsed(layers)])
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}") from error
    except (OSError, ValueError, ArchitectureError) as error:
        reason = error_text(error)
        raise ModelFileError(f"{path} cannot be read as a Caffe model: {reason}") from error
    first = next((p.weights["weight"] for p in parsed if "weight" in p.weights), None)
    if first is None:
        raise ModelFileError(f"{path} is no Caffe model, or one without weights")
    side = input_size or _crop_size(layers) or arch.input[1]
    channels = first.shape[1] if first.ndim == 4 else arch.input[0]
    matched = match_layers(path.name, parsed, arch, (channels, side, side))
    return as_two_classes(path.name, _with_preprocessing(matched, layers, is_bgr=is_bgr))


def _crop_size(layers: list[CaffeLayer]) -> int:
    """The side of the crops that the training network's data layer makes; 0 if it has none."""
    crops = (integer(layer.parameters["transform"], 3, 0) for layer in layers)
    return next((size for size in crops if 0 < size <= MAX_INPUT_SIDE), 0)


def _with_preprocessing(
    matched: MatchedModel, layers: list[CaffeLayer], *, is_bgr: bool
) -> MatchedModel:
    """The model with the mean and the scale of the training network's data layer, if it has any."""
    transforms = (layer.parameters["transform"] for layer in layers)
    found = next((one for one in transforms if {SCALE, MEAN_FILE, MEAN_VALUE} & one.keys()), None)
    if found is None:
        return matched
    notes = matched.notes
    if file := text(found, MEAN_FILE):
        name = printable(file.replace("\\", "/").rpartition("/")[2])[:100]
        notes += (
            f"the file subtracts the mean image {name}, which is not in it: {PUBLISHED_MEAN}",
        )
    try:
        own = _preprocessing(found, matched.architecture, is_bgr=is_bgr)
    except ConfigError as error:
        own = None
        notes += (f"the file's preprocessing is not used: {error}",)
    return replace(matched, preprocessing=own, notes=notes)


def _preprocessing(transform: Message, arch: Architecture, *, is_bgr: bool) -> Preprocessing | None:
    """The preprocessing of a TransformationParameter: (x - mean) * scale for x of 0 to 255.

    The resize is as published. None if the file has nothing but the name of a mean image.

    Raises:
        ConfigError: the numbers are not valid for a preprocessing.
    """
    own, scale = published_preprocessing("published", arch), number(transform, SCALE, 1.0)
    means = floats(transform, MEAN_VALUE).astype(float).tolist()
    if not scale > 0 or len(means) not in (0, 1, own.channels):
        raise ConfigError(f"its scale is {scale:g}, and it has {len(means)} mean values")
    if not means and MEAN_FILE in transform:
        return None if scale == 1 else replace(own, std=(1 / scale,) * 3)
    mean = (means or [0.0]) * (1 if len(means) == 3 else 3)
    blue, green, red = mean if is_bgr else mean[::-1]
    return replace(own, mean=(red, green, blue), std=(1 / scale,) * 3)


def _layers(net: Message) -> Iterator[CaffeLayer]:
    """Yield the layers of a network, in the old or the new form."""
    if len(net.get(V1_LAYERS, [])) + len(net.get(LAYERS, [])) > MAX_LAYERS:
        raise ValueError(f"it has more than {MAX_LAYERS} layers")
    for layer in sub_messages(net, V1_LAYERS):
        if not layer.get(5) and layer.get(1):
            raise ValueError("it is of Caffe's oldest form; convert it: upgrade_net_proto_binary")
        kind = integer(layer, 5, 0)
        yield _layer(layer, text(layer, 4), V1_TYPES.get(kind, f"type {kind}"), 6, V1_PARAMETERS)
    for layer in sub_messages(net, LAYERS):
        yield _layer(layer, text(layer, 1), text(layer, 2), 7, PARAMETERS)


def _layer(layer: Message, name: str, kind: str, blobs: int, fields: dict[str, int]) -> CaffeLayer:
    return CaffeLayer(
        name=printable(name)[:100],
        type=printable(kind)[:100],
        blobs=tuple(_array(blob) for blob in sub_messages(layer, blobs)),
        parameters={key: sub_message(layer, field) for key, field in fields.items()},
    )


def _array(blob: Message) -> np.ndarray:
    """The array in a BlobProto; its shape is one field, or num, channels, height and width."""
    if 7 in blob:
        shape = integers(sub_message(blob, 7), 1)
    else:
        shape = [integer(blob, field, 0) for field in (1, 2, 3, 4)]
    values = floats(blob, 5) if 5 in blob else floats(blob, 8, "<f8")
    if prod(shape) != len(values):
        raise ValueError(f"a blob of shape {shape} has {len(values):,} numbers")
    return values.reshape(shape)


def _parsed(layers: list[CaffeLayer]) -> Iterator[ParsedLayer]:
    """Yield the layers that compute logits, with the Flatten that Caffe's inner product implies."""
    is_flat = False
    for index, layer in enumerate(layers):
        if layer.type in PASSED_OVER:
            continue
        found = ParsedLayer(
            _own_layer(f"layer{index}", layer),
            f"{layer.type} '{layer.name}'",
            _weights(layer),
        )
        if isinstance(found.layer, FullyConnected | Flatten) and not is_flat:
            is_flat = True
            if isinstance(found.layer, FullyConnected):
                yield ParsedLayer(Flatten("flatten"), f"the input of {found.description}")
        yield found


def _without_output_sigmoid(layers: list[ParsedLayer]) -> list[ParsedLayer]:
    """The layers without the sigmoid of a single output; see `as_two_classes`."""
    match [parsed.layer for parsed in layers[-2:]]:
        case [FullyConnected(features=1), Activation(function="sigmoid")]:
            return layers[:-1]
    return layers


def _weights(layer: CaffeLayer) -> dict[str, np.ndarray]:
    """A layer's blobs in torch's layout: a matrix may have leading dimensions of 1."""
    arrays = dict(zip(("weight", "bias"), layer.blobs, strict=False))
    if layer.type == "InnerProduct" and "weight" in arrays:
        matrix = arrays["weight"].reshape(arrays["weight"].shape[-2:])
        is_transposed = integer(layer.parameters["inner_product"], 6, 0)
        arrays["weight"] = matrix.T if is_transposed else matrix
    if "bias" in arrays:
        arrays["bias"] = arrays["bias"].reshape(-1)
    return arrays


def _own_layer(name: str, layer: CaffeLayer) -> Layer:
    """Our layer of the same kind and hyperparameters as Caffe's.

    Raises:
        ValueError: there is no such layer.
    """
    parameters = layer.parameters
    match layer.type:
        case "Convolution":
            return _conv(name, layer)
        case "InnerProduct":
            return FullyConnected(name, integer(parameters["inner_product"], 1, 0))
        case "LRN":
            return _response_norm(name, parameters["lrn"])
        case "Pooling":
            return _pool(name, parameters["pooling"])
        case "Dropout":
            return Dropout(name)
        case "Flatten":
            return Flatten(name)
        case kind if kind in ACTIVATIONS:
            return Activation(name, ACTIVATIONS[kind])
    raise ValueError(f"there is no layer like its {layer.type} '{layer.name}'")


def _conv(name: str, layer: CaffeLayer) -> Conv:
    fields = layer.parameters["convolution"]
    if any(size != 1 for size in integers(fields, 18)):
        raise ValueError(f"its convolution '{layer.name}' is dilated")
    return Conv(
        name,
        integer(fields, 1, 0),
        _square(layer, fields, (4, 11, 12), 0),
        stride=_square(layer, fields, (6, 13, 14), 1),
        padding=_square(layer, fields, (3, 9, 10), 0),
        groups=integer(fields, 5, 1),
    )


def _square(layer: CaffeLayer, fields: Message, numbers: tuple[int, int, int], default: int) -> int:
    """A size that is given once, or separately for height and width, which must be equal."""
    sizes = {size for field in numbers for size in integers(fields, field)} or {default}
    if len(sizes) > 1:
        raise ValueError(f"its {layer.type} '{layer.name}' is not square")
    return sizes.pop()


def _pool(name: str, fields: Message) -> Pool:
    """Our pool for Caffe's, which rounds the number of windows up."""
    if integer(fields, 4, 0) or integer(fields, 12, 0):
        raise ValueError("it has a pooling layer with padding, or of the whole map")
    size, stride = integer(fields, 2, 0), integer(fields, 3, 1)
    is_average = integer(fields, 1, 0) == 1
    return Pool(name, size, stride, ceil=True, reduce="average" if is_average else "max")


def _response_norm(name: str, fields: Message) -> ResponseNorm | WithinChannelLRN:
    """Our norm for Caffe's, which divides alpha by the number of values in the window, as torch."""
    size, beta, k = integer(fields, 1, 5), number(fields, 3, 0.75), number(fields, 5, 1.0)
    alpha = number(fields, 2, 1.0)
    if integer(fields, 4, 0) == 1:
        return WithinChannelLRN(name, size, alpha / size**2, beta, k)
    return ResponseNorm(name, size, alpha / size, beta, k)
