"""Match the layers read from a file against an architecture, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from math import isclose
from typing import Any, Literal, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ArchitectureError, ModelFileError
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
    Shape,
)

IGNORED_FIELDS = {"name", "init", "channels", "features", "bias", "momentum", "ceil", "p"}
"""Fields in which a file may differ from the architecture: widths are taken from the file, the
others matter only in training or are compared in another way."""
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
"""A batch norm's arrays, in the order of Keras and ONNX."""
SCALE_AND_BIAS = {"weight", "bias"}
"""The arrays of a batch norm whose statistics are folded into these two."""
L = TypeVar("L", bound=Layer)


class OtherNetworkError(ModelFileError):
    """A file has another network than the architecture as which it is read.

    Args:
        message: the message, which names the first mismatch.
        num_matched: number of layers, or of tensors of a state dict, that match.
        is_size: whether another size of the input would have the shape of the first mismatch.
    """

    def __init__(self, message: str, num_matched: int = 0, *, is_size: bool = False) -> None:
        super().__init__(message)
        self.num_matched, self.is_size = num_matched, is_size


@dataclass(frozen=True, eq=False)
class ParsedLayer:
    """One layer of a file."""

    layer: Layer
    """The layer's kind and hyperparameters, as one of our layers with the name in the file."""
    description: str
    """The layer's type and name in the file, for messages: "LRN 'n2'"."""
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    """Arrays by torch's names (weight, bias, running_mean, running_var), in torch's layout."""


@dataclass(frozen=True, eq=False)
class MatchedModel:
    """An architecture with the widths of a file, and the file's weights under our names."""

    architecture: Architecture
    weights: dict[str, Tensor]
    preprocessing: Preprocessing | None = None
    """Preprocessing given by the file; None if it gives none."""
    mean_image: Tensor | None = None
    """Float32 [C, H, W] if `preprocessing` has a mean image, else None."""
    class_names: tuple[str, ...] = ()
    """Class names given by the file, in the order of the outputs; empty if it gives none."""
    temperature: float = 1.0
    """Temperature of the logits given by the file; 1 if it gives none."""
    notes: tuple[str, ...] = ()
    """Sentences for the user on how the file was read; usually none."""


def match_layers(
    file: str, parsed: Iterable[ParsedLayer], arch: Architecture, input_shape: Shape
) -> MatchedModel:
    """Match a file's layers, in order, with those of an architecture.

    Widths and the input shape come from the file. Dropout is ignored on both sides. Where the file
    has folded a batch norm into the layer before it, ours becomes the identity plus that bias.
    Where it flattens in another order, the weights of the next layers are reordered.

    Args:
        file: its name, for messages.
        parsed: the file's layers; each is parsed when its turn comes, so that an error in a layer
            that cannot be parsed does not hide a mismatch before it.
        arch: the architecture that the layers should have.
        input_shape: (channels, height, width) of the file's input.

    Raises:
        ModelFileError: the layers are another network; the message names the first mismatch.
    """
    layers = (p for p in parsed if not isinstance(p.layer, Dropout))
    matcher = _LayerMatcher(file, arch, input_shape, layers)
    try:
        for layer in arch.layers:
            matcher.match(layer)
        matcher.check_end()
        matched = replace(arch, layers=tuple(matcher.layers), input=input_shape)
    except ArchitectureError as error:
        message = f"{file} is not {arch.name}: {error}"
        raise OtherNetworkError(message, len(matcher.layers)) from error
    return MatchedModel(matched, matcher.weights)


class _LayerMatcher:
    """The state of matching: the file's remaining layers, and the layers matched so far."""

    def __init__(
        self, file: str, arch: Architecture, shape: Shape, parsed: Iterator[ParsedLayer]
    ) -> None:
        self.file, self.arch, self.shape, self.parsed = file, arch, shape, parsed
        self.peeked: ParsedLayer | None = None
        self.layers: list[Layer] = []
        self.weights: dict[str, Tensor] = {}
        self.folded_bias = np.zeros(0, np.float32)
        self.reordered: tuple[Shape, Flatten] | None = None
        """Shape of the map and our Flatten layer, if the file flattens in another order; kept until
        the next fully connected layer."""

    def fail(self, reason: str) -> NoReturn:
        message = f"{self.file} is not {self.arch.name}: {reason}"
        raise OtherNetworkError(message, len(self.layers))

    def peek(self) -> ParsedLayer | None:
        """The file's next layer, which is not consumed; None at the end."""
        if self.peeked is None:
            self.peeked = next(self.parsed, None)
        return self.peeked

    def next_is(self, kind: type[Layer]) -> bool:
        parsed = self.peek()
        return parsed is not None and isinstance(parsed.layer, kind)

    def match(self, layer: Layer) -> None:
        """Match one layer of the architecture."""
        if isinstance(layer, Dropout):
            self.append(layer)
        elif isinstance(layer, AdaptivePool) and not self.next_is(AdaptivePool):
            if not self.match_equal_pool(layer):
                self.match_missing_pool(layer)
        elif isinstance(layer, BatchNorm) and not self.next_is(BatchNorm) and self.is_after_weights:
            self.match_folded_batch_norm(layer)
        else:
            self.match_next(layer)

    @property
    def is_after_weights(self) -> bool:
        return bool(self.layers) and isinstance(self.layers[-1], Conv | FullyConnected)

    def append(self, layer: Layer) -> None:
        """Add a matched layer, and update the shape to that of its output."""
        self.layers.append(layer)
        self.shape = layer.output(self.shape)
        if min(self.shape) < 1:
            self.fail(f"the input is too small: {layer.name} has an empty output")

    def match_missing_pool(self, layer: AdaptivePool) -> None:
        """Add an adaptive pool that the file lacks, if it does not change its input."""
        if layer.output(self.shape) != self.shape:
            shape = shape_text(self.shape)
            self.fail(f"the file lacks {layer.name}, which would change an input of {shape}")
        self.append(layer)

    def match_folded_batch_norm(self, layer: BatchNorm) -> None:
        """Add a batch norm that the file has folded, as the identity plus the folded bias."""
        channels = self.shape[0]
        bias = self.folded_bias if len(self.folded_bias) else np.zeros(channels, np.float32)
        ones = np.ones(channels, np.float32)
        arrays = (ones, bias, 0 * ones, ones - np.float32(layer.eps))
        self.add_weights(layer, dict(zip(BATCH_NORM, arrays, strict=True)))
        self.folded_bias = np.zeros(0, np.float32)
        self.append(layer)

    def match_next(self, layer: Layer) -> None:
        """Match a layer with the file's next one."""
        parsed, self.peeked = self.peek(), None
        if parsed is None:
            self.fail(f"the file ends where {layer.name} should be")
        if type(parsed.layer) is not type(layer):
            self.fail(f"expected {layer.name} ({layer.kind}), but found {parsed.description}")
        self.check_hyperparameters(layer, parsed)
        layer = _with_widths(layer, parsed.layer, self.shape)
        if isinstance(layer, Conv | FullyConnected):
            self.add_weights(layer, self.with_bias(layer, parsed))
        elif isinstance(layer, BatchNorm):
            self.add_weights(layer, self.with_statistics(layer, parsed))
        self.append(layer)

    def with_statistics(self, layer: BatchNorm, parsed: ParsedLayer) -> dict[str, np.ndarray]:
        """The file's arrays of a batch norm; if they lack statistics, those of the identity."""
        ones = np.ones(self.shape[0], np.float32)
        identity = {"running_mean": 0 * ones, "running_var": ones - np.float32(layer.eps)}
        is_folded = set(parsed.weights) == SCALE_AND_BIAS
        return {**(identity if is_folded else {}), **parsed.weights}

    def match_equal_pool(self, layer: AdaptivePool) -> bool:
        """Consume the file's pool if it equals the adaptive pool, and return whether it does."""
        parsed = self.peek()
        if parsed is None or not isinstance(parsed.layer, Pool) or len(self.shape) != 3:
            return False
        size, rest = divmod(self.shape[1], layer.size)
        windows = (parsed.layer.size, parsed.layer.stride, parsed.layer.reduce)
        if rest or self.shape[1] != self.shape[2] or windows != (size, size, layer.reduce):
            return False
        self.peeked = None
        self.append(layer)
        return True

    def check_hyperparameters(self, layer: Layer, parsed: ParsedLayer) -> None:
        if isinstance(layer, BatchNorm) and set(parsed.weights) == SCALE_AND_BIAS:
            return  # a batch norm whose eps the file has folded into its scale and bias
        if isinstance(layer, Flatten) and isinstance(parsed.layer, Flatten):
            if parsed.layer.order != layer.order:
                self.reordered = self.shape, layer
            return
        is_same_conv = isinstance(layer, Conv) and _is_padded_alike(layer, parsed.layer, self.shape)
        ignored = IGNORED_FIELDS | ({"extra_padding"} if is_same_conv else set())
        for name in (f.name for f in fields(layer) if f.name not in ignored):
            expected, found = getattr(layer, name), getattr(parsed.layer, name)
            if not _is_equal(expected, found):
                self.fail(
                    f"{layer.name} should have {name} {_value_text(expected)}, "
                    f"but {parsed.description} has {_value_text(found)}"
                )

    def with_bias(self, layer: Conv | FullyConnected, parsed: ParsedLayer) -> dict[str, np.ndarray]:
        """The file's arrays, with a bias exactly where the architecture has one.

        Where it has none, the file's bias can only be that of the batch norm behind the layer.
        """
        arrays = dict(parsed.weights)
        if "weight" not in arrays:
            self.fail(f"the file has no weight for {layer.name}")
        if layer.bias:  # exporters leave out a bias of zeros
            arrays.setdefault("bias", np.zeros(arrays["weight"].shape[0], np.float32))
            return arrays
        self.folded_bias = arrays.pop("bias", np.zeros(0, np.float32))
        end = [other.name for other in self.arch.layers].index(layer.name) + 1
        has_norm = any(isinstance(other, BatchNorm) for other in self.arch.layers[end : end + 1])
        is_folded = has_norm and not self.next_is(BatchNorm)
        if np.any(self.folded_bias) and not is_folded:
            self.fail(f"{layer.name} should have no bias, but {parsed.description} has one")
        return arrays

    def add_weights(self, layer: Layer, arrays: dict[str, np.ndarray]) -> None:
        """Add a layer's arrays under our names, after a check of their shapes."""
        for name, shape in _weight_shapes(layer, self.shape).items():
            if name not in arrays:
                self.fail(f"the file has no {name} for {layer.name}")
            if arrays[name].shape != shape:
                self.fail(
                    f"{layer.name}.{name} has shape {shape_text(arrays[name].shape)}, "
                    f"expected {shape_text(shape)}"
                )
            found = self.in_our_order(layer, name, arrays[name])
            array = np.array(found, dtype=np.float32, order="C")
            self.weights[f"{layer.name}.{name}"] = torch.from_numpy(array)
        if isinstance(layer, BatchNorm):
            self.weights[f"{layer.name}.num_batches_tracked"] = torch.tensor(0)

    def in_our_order(self, layer: Layer, name: str, array: np.ndarray) -> np.ndarray:
        """The array, with the features of a flattened map in our order instead of the file's."""
        if self.reordered is None or isinstance(layer, Conv):
            return array
        shape, flatten = self.reordered
        order = feature_order(shape, flatten.order)  # as long as the array, so the file is as large
        if isinstance(layer, BatchNorm):
            return np.take(array, order)
        if name != "weight":
            return array
        self.reordered = None  # its outputs have no order but their own
        return np.take(array, order, axis=1)

    def check_end(self) -> None:
        if parsed := self.peek():
            self.fail(f"the file has {parsed.description} after {self.layers[-1].name}")


def feature_order(shape: Shape, order: Literal["chw", "hwc"]) -> np.ndarray:
    """For each feature of a map of `shape` flattened in `order`, its index in the other order."""
    c, h, w = shape
    places = np.arange(c * h * w)
    if order == "chw":
        return places.reshape(h, w, c).transpose(2, 0, 1).ravel()
    return places.reshape(c, h, w).transpose(1, 2, 0).ravel()


def _is_padded_alike(layer: Conv, found: Layer, shape: Shape) -> bool:
    """Whether two convolutions' paddings differ at most in zeros that no window reaches."""
    if not isinstance(found, Conv) or layer.padding != found.padding:
        return False
    return layer.output(shape) == replace(layer, extra_padding=found.extra_padding).output(shape)


def _is_equal(expected: Any, found: Any) -> bool:
    """Whether values are equal; floats to float32's precision, as other programs store them."""
    if isinstance(expected, float):
        return isclose(expected, found, rel_tol=1e-6)
    return bool(expected == found)


def _value_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_widths(layer: L, found: Layer, shape: Shape) -> L:
    """The layer with the file's width, and with the file's `ceil` where that changes the output."""
    if isinstance(layer, Conv) and isinstance(found, Conv):
        return replace(layer, channels=found.channels)
    if isinstance(layer, FullyConnected) and isinstance(found, FullyConnected):
        return replace(layer, features=found.features)
    if isinstance(layer, Pool) and isinstance(found, Pool):
        is_same = layer.output(shape) == found.output(shape)
        return layer if is_same else replace(layer, ceil=found.ceil)
    return layer


def _weight_shapes(layer: Layer, shape: Shape) -> dict[str, Shape]:
    """Shapes of a layer's arrays for an input of `shape`."""
    if isinstance(layer, Conv):
        weight: Shape = (layer.channels, shape[0] // layer.groups, layer.kernel, layer.kernel)
        return {"weight": weight} | ({"bias": (layer.channels,)} if layer.bias else {})
    if isinstance(layer, FullyConnected):
        weight = (layer.features, shape[0])
        return {"weight": weight} | ({"bias": (layer.features,)} if layer.bias else {})
    return dict.fromkeys(BATCH_NORM, (shape[0],))
