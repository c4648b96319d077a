"""The layers of a network whose outputs are explained: its convolutions and their activations."""

from __future__ import annotations

from itertools import takewhile

import numpy as np

from alexnet.errors import UnknownNameError, UsageError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, BatchNorm, Conv, Layer
from alexnet.models.receptive_fields import receptive_box


def conv_names(arch: Architecture) -> list[str]:
    """The names of the convolutions, in order."""
    return [layer.name for layer in arch.layers if isinstance(layer, Conv)]


def activation_of(arch: Architecture, name: str) -> str:
    """The last of the batch norm and activation function that directly follow a layer.

    It is `name` itself if none follow.

    Raises:
        UnknownNameError: there is no such layer.
    """
    index = layer_index(arch, name)
    following = takewhile(_is_elementwise, arch.layers[index + 1 :])
    return [name, *(layer.name for layer in following)][-1]


def _is_elementwise(layer: Layer) -> bool:
    return isinstance(layer, BatchNorm | Activation)


def layer_index(arch: Architecture, name: str) -> int:
    """The position of a layer in the table.

    Raises:
        UnknownNameError: there is no such layer.
    """
    names = [layer.name for layer in arch.layers]
    if name not in names:
        raise UnknownNameError(f"layer of {arch.name}", name, names)
    return names.index(name)


def function_of(arch: Architecture, name: str) -> str:
    """The activation function of a layer: "relu", "tanh" or "sigmoid"; "" if it has none."""
    layer = arch.layers[layer_index(arch, activation_of(arch, name))]
    return layer.function if isinstance(layer, Activation) else ""


def num_channels(arch: Architecture, name: str) -> int:
    """Channels or features of a layer."""
    return arch.layer_infos()[layer_index(arch, name)].output[0]


def num_towers(arch: Architecture, name: str) -> int:
    """The number of groups of the next convolution after a layer; 1 if there is none."""
    following = arch.layers[layer_index(arch, name) + 1 :]
    return next((layer.groups for layer in following if isinstance(layer, Conv)), 1)


def field_text(arch: Architecture, name: str) -> str:
    """The size of a layer's receptive field in words: "51 x 51 pixels", or "the whole input"."""
    field = arch.layer_infos()[layer_index(arch, name)].receptive_field
    return "the whole input" if field > max(arch.input[1:]) else f"{field} x {field} pixels"


def map_layer(arch: Architecture, name: str = "") -> str:
    """The layer whose map Grad-CAM uses: `name`, or the last convolution, after its activation.

    It is "" if no name is given and the network has no convolution.

    Raises:
        UnknownNameError: there is no such layer.
        UsageError: its output is no map.
    """
    convs = conv_names(arch)
    if not name:
        return activation_of(arch, convs[-1]) if convs else ""
    info = arch.layer_infos()[layer_index(arch, name)]
    if len(info.output) != 3:
        known = f"; convolutions: {', '.join(convs)}" if convs else ""
        raise UsageError(f"the outputs of {name} are not a map over the image{known}")
    return activation_of(arch, name)


def centers(arch: Architecture, layer: str, axis: int) -> np.ndarray:
    """The centers of a layer's receptive fields, along the input's height (axis 1) or width (2).

    float64 [n], one for each output along that axis; 0 is the center of the input's first pixel.
    """
    info = arch.layer_infos()[layer_index(arch, layer)]
    first, last = ("top", "bottom") if axis == 1 else ("left", "right")
    boxes = [receptive_box(arch, layer, i, i) for i in range(info.output[axis])]
    return np.array([(getattr(b, first) + getattr(b, last) - 1) / 2 for b in boxes])


def map_window(arch: Architecture, layer: str) -> tuple[float, float, float, float]:
    """A layer's map as a box on the input: left, top, right and bottom as fractions of its size.

    Each output takes a rectangle around the center of its receptive field.
    """
    (top, bottom), (left, right) = (_extent(arch, layer, axis) for axis in (1, 2))
    return left, top, right, bottom


def _extent(arch: Architecture, layer: str, axis: int) -> tuple[float, float]:
    size, middles = arch.input[axis], centers(arch, layer, axis) + 0.5
    step = float(middles[1] - middles[0]) if len(middles) > 1 else size
    return float(middles[0] - step / 2) / size, float(middles[-1] + step / 2) / size


def on_input(values: np.ndarray, arch: Architecture, layer: str) -> np.ndarray:
    """A layer's map [h, w], resized bilinearly to the network's input: float32 [H, W].

    Values lie at the centers of their receptive fields; beyond the outermost centers the
    outermost values are repeated.
    """
    height, width = arch.input[1:]
    rows, columns = centers(arch, layer, 1), centers(arch, layer, 2)
    wide = np.stack([np.interp(np.arange(width), columns, row) for row in values])
    tall = np.stack([np.interp(np.arange(height), rows, column) for column in wide.T], axis=1)
    return tall.astype(np.float32)
