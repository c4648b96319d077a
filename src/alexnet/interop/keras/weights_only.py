"""Read Keras files of weights alone by the order and the shapes of an architecture's layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isqrt

import numpy as np

from alexnet.errors import ModelFileError
from alexnet.interop.keras.config import LayerConfig
from alexnet.interop.keras.preprocessing import ImageLayers
from alexnet.interop.keras.weights import VARIABLES, StoredLayer, Variables, torch_arrays
from alexnet.interop.match import MatchedModel, ParsedLayer, match_layers
from alexnet.models.architecture import Architecture, is_valid_input
from alexnet.models.layers import BatchNorm, Conv, Flatten, FullyConnected, Layer, Shape

MAX_SEARCHED_SIZE = 1024
"""Largest side of the input that is tried."""
LAYER_TYPES = {"conv2d": Conv, "dense": FullyConnected, "batch_normalization": BatchNorm}
"""Our classes of layers with weights, by Keras's name of the type."""
ByType = dict[str, list[StoredLayer]]


def match_weights(
    file: str, arch: Architecture, stored: Sequence[StoredLayer], input_size: int | None
) -> MatchedModel:
    """Match a file's weights with an architecture, which gets the file's widths.

    Args:
        file: the file's name, for messages.
        arch: the architecture that the file must match.
        stored: the layers of the file.
        input_size: side of the input in pixels; None: see `read_keras`.

    Raises:
        ModelFileError: the weights are of another network.
    """
    layers = _by_type(file, stored)
    parsed = list(_with_file_widths(file, arch, layers))
    shape = _input_shape(arch, layers, input_size)
    images = ImageLayers(file, stored, shape[0], shape[1])
    for layer in stored:
        if layer.layer_type == "normalization":
            images.take(LayerConfig("Normalization", {"name": layer.path}, layer.path, ""))
    matched = match_layers(file, parsed, arch, shape)
    return replace(matched, preprocessing=images.preprocessing(arch), notes=tuple(images.notes))


def _by_type(file: str, stored: Sequence[StoredLayer]) -> ByType:
    """The file's layers by type, in the network's order."""
    layers: ByType = {
        name: [layer for layer in stored if layer.layer_type == name] for name in LAYER_TYPES
    }
    for name, found in layers.items():
        models = {layer.path.rpartition("/")[0] for layer in found if layer.is_numbered}
        if len(models) > 1:
            raise ModelFileError(
                f"{file} has {name} layers in several models, one inside the other, and not their "
                "order; save the whole model with model.save('x.keras') and import that"
            )
    return layers


def _with_file_widths(file: str, arch: Architecture, layers: ByType) -> Iterator[ParsedLayer]:
    """Yield the architecture's own layers with the widths of the file's arrays."""
    for name, cls in LAYER_TYPES.items():
        expected = sum(isinstance(layer, cls) for layer in arch.layers)
        if expected != len(layers[name]):
            raise ModelFileError(
                f"{file} is not {arch.name}: "
                f"it has {len(layers[name])} {name} layers, expected {expected}"
            )
    remaining = {name: iter(found) for name, found in layers.items()}
    for layer in arch.layers:
        name = next((name for name, cls in LAYER_TYPES.items() if isinstance(layer, cls)), "")
        weights = _arrays(next(remaining[name]), name) if name else {}
        width = weights["weight"].shape[0] if "weight" in weights else 0
        if isinstance(layer, Conv):
            layer = replace(layer, channels=width)
        elif isinstance(layer, FullyConnected):
            layer = replace(layer, features=width)
        elif isinstance(layer, Flatten):
            layer = replace(layer, order="hwc")
        yield ParsedLayer(layer, f"the file's {layer.name}", weights)


def _arrays(stored: StoredLayer, layer_type: str) -> Variables:
    """The arrays of a layer; scale and center of a batch norm that has none are ones and zeros."""
    names, count = VARIABLES[layer_type], len(stored.variables)
    if layer_type != "batch_normalization":
        return torch_arrays(stored.named(names[: 1 + (count == 2)]))
    if stored.is_numbered and count == 3:
        raise ValueError(
            f"{stored.path} has a scale or a center, but not both, and does not say which; save "
            "the whole model with model.save('x.keras') and import that"
        )
    found = torch_arrays(stored.named(names if count != 2 else names[2:]))
    channels = len(found["running_mean"])
    neutral = {"weight": np.ones(channels, np.float32), "bias": np.zeros(channels, np.float32)}
    return neutral | found


def _input_shape(arch: Architecture, layers: ByType, input_size: int | None) -> Shape:
    """The input shape for which weights fit: see `read_keras`."""
    first, last = (torch_arrays(_named(layers["conv2d"][i]))["weight"].shape for i in (0, -1))
    in_channels, channels = first[1], last[0]
    if input_size:
        return in_channels, input_size, input_size
    features = torch_arrays(_named(layers["dense"][0]))["weight"].shape[1]
    map_side = isqrt(features // channels)
    flatten = [layer.kind for layer in arch.layers].index("flatten")
    for side in (arch.input[1], *range(1, MAX_SEARCHED_SIZE + 1)):
        if 0 < map_side == _side_before_flatten(arch.layers[:flatten], side, arch.input[0]):
            return in_channels, side, side
    return in_channels, *arch.input[1:]


def _named(stored: StoredLayer) -> Variables:
    return stored.named(VARIABLES["conv2d"][: len(stored.variables)])


def _side_before_flatten(layers: tuple[Layer, ...], side: int, channels: int) -> int:
    """Side of the last feature map for a square input; 0 where the input is too small."""
    shape: Shape = (channels, side, side)
    if not is_valid_input(layers, shape):
        return 0
    for layer in layers:
        shape = layer.output(shape)
    return shape[1]
