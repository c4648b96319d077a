"""Which input pixels an output of a layer depends on, from the table of layers, without torch."""

from __future__ import annotations

from typing import NamedTuple

from alexnet.errors import UnknownNameError
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import AdaptivePool, Conv, Flatten, WithinChannelLRN


class Box(NamedTuple):
    """Rows top to bottom and columns left to right of an image, the ends exclusive."""

    top: int
    left: int
    bottom: int
    right: int


def receptive_box(arch: Architecture, layer: str, row: int = 0, column: int = 0) -> Box:
    """The input pixels on which the output of a layer at one position of its map depends.

    In units of the network's input; a box reaches outside the image where a layer pads. Behind a
    `Flatten` it belongs to all positions of the map before it. Its sides are
    `LayerInfo.receptive_field`, but for windows of an adaptive pooling of several sizes.

    Args:
        arch: the table of layers.
        layer: name of a layer.
        row: of the map, from 0.
        column: of the map, from 0.

    Raises:
        UnknownNameError: there is no such layer.
    """
    infos = arch.layer_infos()
    names = [info.layer.name for info in infos]
    if layer not in names:
        raise UnknownNameError(f"layer of {arch.name}", layer, names)
    before = infos[: names.index(layer) + 1]
    top, bottom = _interval(before, 1, row)
    left, right = _interval(before, 2, column)
    return Box(top, left, bottom, right)


def _interval(infos: tuple[LayerInfo, ...], axis: int, position: int) -> tuple[int, int]:
    """First and last + 1 of the input rows (axis 1) or columns (axis 2) behind an output."""
    first = last = position
    for info in reversed(infos):
        layer, length = info.layer, info.input[axis] if len(info.input) == 3 else 1
        if isinstance(layer, Flatten):
            first, last = 0, length - 1
        elif isinstance(layer, AdaptivePool):
            first, last = first * length // layer.size, -(-(last + 1) * length // layer.size) - 1
        else:
            kernel, stride = layer.receptive_window(info.input)
            padding = _padding(info)
            first, last = first * stride - padding, last * stride - padding + kernel - 1
    return first, last + 1


def _padding(info: LayerInfo) -> int:
    """The number of rows and columns that a layer pads before its input."""
    match info.layer:
        case Conv(padding=padding):
            return padding
        case WithinChannelLRN(size=size):
            return size // 2
    return 0
