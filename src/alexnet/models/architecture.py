"""A network as a value: a named tuple of layers and the shape of its input, without torch.

Shapes, parameters, multiply-accumulates and receptive fields follow from the layers by arithmetic;
everything else (the torch module, the summary, weight import) is derived from the same table.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from alexnet.errors import ArchitectureError
from alexnet.models.layers import Conv, Flatten, FullyConnected, Layer, Shape, require

MOST_LAYERS = 1000
MOST_PIXELS = 1 << 14
"""The largest side of an input, and the most colours."""


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One layer of a network with the numbers that follow from its place."""

    layer: Layer
    input: Shape
    output: Shape
    parameters: int
    macs: int
    neurons: int
    """Outputs of a weight layer; 0 for the others."""
    receptive_field: int
    """Side, in input pixels, of the square that one output sees."""
    input_stride: int
    """Input pixels between neighbouring outputs."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network: its name, where it is published, its input and its table of layers.

    Raises:
        ArchitectureError: two layers share a name, or the input is too small.
    """

    name: str
    source: str
    input: Shape
    """(channels, height, width)."""
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        is_picture = len(self.input) == 3 and 1 <= min(self.input) <= max(self.input) <= MOST_PIXELS
        require(is_picture, f"{self.name}: input {self.input} must be (channels, height, width)")
        count = len(self.layers)
        require(
            1 <= count <= MOST_LAYERS, f"{self.name} has {count} layers, not 1 to {MOST_LAYERS}"
        )
        names = [layer.name for layer in self.layers]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ArchitectureError(f"{self.name}: two layers are called {sorted(twice)[0]!r}")
        if not fits(self.layers, self.input):
            smallest = smallest_input(self.layers, self.input[0])
            works = f"the smallest input that works is {smallest}x{smallest}"
            raise ArchitectureError(
                f"{self.name} cannot take {self.input[1]}x{self.input[2]} pixels; "
                + (works if smallest <= MOST_PIXELS else "no input works")
            )

    @property
    def num_classes(self) -> int:
        """Length of the output vector."""
        return self.rows()[-1].output[0]

    def rows(self) -> tuple[LayerInfo, ...]:
        """The table with shapes, parameters, multiply-accumulates and receptive fields."""
        return tuple(_rows(self.layers, self.input))


def _rows(layers: tuple[Layer, ...], shape: Shape) -> Iterator[LayerInfo]:
    field, jump = 1, 1
    for layer in layers:
        output = layer.output(shape)
        kernel, stride = layer.window(shape)
        field, jump = field + (kernel - 1) * jump, jump * stride
        if isinstance(layer, Flatten):
            field = max(field, field + (shape[1] - 1) * jump)
        is_weighted = isinstance(layer, Conv | FullyConnected)
        yield LayerInfo(
            layer,
            shape,
            output,
            layer.parameters(shape),
            layer.macs(shape),
            prod(output) if is_weighted else 0,
            field,
            jump,
        )
        shape = output


def fits(layers: tuple[Layer, ...], shape: Shape) -> bool:
    """Whether no side shrinks to nothing on the way."""
    for layer in layers:
        shape = layer.output(shape)
        if min(shape) < 1:
            return False
    return True


def smallest_input(layers: tuple[Layer, ...], channels: int) -> int:
    """Side in pixels of the smallest square input that the layers can take.

    MOST_PIXELS + 1 where none up to MOST_PIXELS is large enough; whatever fits, a larger one does.
    """
    sides = range(1, MOST_PIXELS + 1)
    return 1 + bisect_left(sides, True, key=lambda side: fits(layers, (channels, side, side)))
