"""A network as a value: a named sequence of layers and the shape of its input, without torch.

Shapes, parameters, multiply-accumulates and receptive fields are computed from the layers. The
torch module, the summary and the import of weights are all derived from the same value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import get_args

from alexnet.errors import ArchitectureError, UnknownNameError, require
from alexnet.io.limits import MAX_INPUT_SIDE, MAX_LAYERS
from alexnet.io.text import short_repr
from alexnet.models.field_checks import check_choice, is_integer, plain_number
from alexnet.models.layers import (
    LAYER_TYPES,
    Activation,
    Conv,
    Flatten,
    FullyConnected,
    Function,
    Layer,
    Shape,
)

LAYER_CLASSES = tuple(layer.__name__ for layer in LAYER_TYPES.values())
"""The names of the classes of layers."""


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A layer of an architecture with the numbers that follow from its position."""

    layer: Layer
    input: Shape
    output: Shape
    parameters: int
    macs: int
    neurons: int
    """Number of outputs of a conv or fully connected layer; 0 for the others."""
    receptive_field: int
    """Side of the square of input pixels that one output depends on."""
    input_stride: int
    """Distance in input pixels between neighboring outputs."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network: its name, its source, the shape of its input, and its layers.

    The layers are `Conv`, `FullyConnected` and the others of `alexnet.models`; a list of them
    becomes a tuple. The last layer gives the logits.

    Raises:
        ArchitectureError: a value has another type, two layers have the same name, or the input is
            too small or too large.
    """

    name: str
    source: str
    """Where the architecture is published."""
    input: Shape
    """(channels, height, width): a plain tuple such as (3, 224, 224)."""
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        for field in ("input", "layers"):
            if isinstance(value := getattr(self, field), list):
                object.__setattr__(self, field, tuple(value))
        if isinstance(self.input, tuple):
            object.__setattr__(self, "input", tuple(map(plain_number, self.input)))
        self._check_types()
        count = len(self.layers)
        message = f"{self.name} has {count} layers, not 1 to {MAX_LAYERS}"
        require(1 <= count <= MAX_LAYERS, message, ArchitectureError)
        name, times = Counter(layer.name for layer in self.layers).most_common(1)[0]
        require(times == 1, f"{self.name}: two layers are called {name!r}", ArchitectureError)
        if not is_valid_input(self.layers, self.input):
            raise self._input_error()

    def _check_types(self) -> None:
        for field in ("name", "source"):
            value = getattr(self, field)
            message = f"{field} {value!r} of an Architecture must be a text"
            require(isinstance(value, str), message, ArchitectureError)
        message = (
            f"{self.name}: input {short_repr(self.input)} must be (channels, height, width), three "
            f"whole numbers from 1 to {MAX_INPUT_SIDE:,} such as (3, 224, 224)"
        )
        require(_is_image_shape(self.input), message, ArchitectureError)
        message = f"{self.name}: layers {short_repr(self.layers)} must be a tuple of layers"
        require(isinstance(self.layers, tuple), message, ArchitectureError)
        for number, layer in enumerate(self.layers, 1):
            if not isinstance(layer, Layer):
                raise ArchitectureError(
                    f"{self.name}: layer {number} is {short_repr(layer)}; it must be one such as "
                    f"Conv('conv1', 96, 11), of the classes {', '.join(LAYER_CLASSES)} in "
                    "alexnet.models"
                )
            if isinstance(layer, Activation):
                check_choice(layer.name, get_args(Function), function=layer.function)

    def _input_error(self) -> ArchitectureError:
        smallest = smallest_input(self.layers, self.input[0])
        return ArchitectureError(
            f"{self.name} cannot take {self.input[1]}x{self.input[2]} pixels; "
            + (
                f"the smallest input that works is {smallest}x{smallest}"
                if smallest <= MAX_INPUT_SIDE
                else "no input works"
            )
        )

    @property
    def num_classes(self) -> int:
        """Length of the output vector."""
        return self.layer_infos()[-1].output[0]

    def layer_infos(self) -> tuple[LayerInfo, ...]:
        """The layers with shapes, parameters, multiply-accumulates and receptive fields."""
        return tuple(_layer_infos(self.layers, self.input))

    @property
    def output_layer(self) -> str:
        """The name of the last layer with weights, fc8 of AlexNet; "" if no layer has weights."""
        names = [one.name for one in self.layers if isinstance(one, Conv | FullyConnected)]
        return names[-1] if names else ""

    def input_shape(self, layer: str) -> Shape:
        """The shape of a layer's input, without the batch dimension.

        Raises:
            UnknownNameError: there is no such layer.
        """
        shapes = {info.layer.name: info.input for info in self.layer_infos()}
        if layer not in shapes:
            raise UnknownNameError(f"layer of {self.name}", layer, shapes)
        return shapes[layer]

    def _repr_html_(self) -> str:
        """The table of layers, for notebooks."""
        from alexnet.models.summary import summary_html

        return summary_html(self)


def _is_image_shape(value: object) -> bool:
    """Whether a value can be (channels, height, width)."""
    if not isinstance(value, tuple) or len(value) != 3:
        return False
    return all(is_integer(side) and 1 <= side <= MAX_INPUT_SIDE for side in value)


def _layer_infos(layers: tuple[Layer, ...], shape: Shape) -> Iterator[LayerInfo]:
    receptive_field, input_stride = 1, 1
    for layer in layers:
        output = layer.output(shape)
        kernel, stride = layer.receptive_window(shape)
        receptive_field += (kernel - 1) * input_stride
        input_stride *= stride
        if isinstance(layer, Flatten):  # what follows sees all positions of the map
            receptive_field += (shape[1] - 1) * input_stride if len(shape) == 3 else 0
        yield LayerInfo(
            layer=layer,
            input=shape,
            output=output,
            parameters=layer.parameters(shape),
            macs=layer.macs(shape),
            neurons=prod(output) if isinstance(layer, Conv | FullyConnected) else 0,
            receptive_field=receptive_field,
            input_stride=input_stride,
        )
        shape = output


def is_valid_input(layers: tuple[Layer, ...], shape: Shape) -> bool:
    """Whether every layer gives at least one output for an input of `shape`."""
    return min(output_shape(layers, shape)) > 0


def output_shape(layers: tuple[Layer, ...], shape: Shape) -> Shape:
    """The shape that the layers give for an input of `shape`; (0,) if that is too small."""
    for layer in layers:
        shape = layer.output(shape)
        if min(shape) < 1:
            return (0,)
    return shape


def smallest_input(layers: tuple[Layer, ...], channels: int) -> int:
    """Side in pixels of the smallest square input that the layers can take.

    MAX_INPUT_SIDE + 1 if no size up to MAX_INPUT_SIDE is large enough.
    """
    sides = range(1, MAX_INPUT_SIDE + 1)
    return 1 + bisect_left(
        sides, True, key=lambda side: is_valid_input(layers, (channels, side, side))
    )
