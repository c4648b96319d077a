"""The state of parsing an ONNX graph, which must be one chain of layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from alexnet.errors import ArchitectureError, ModelFileError
from alexnet.interop.match import ParsedLayer
from alexnet.interop.onnx.constants import (
    FOLDED_OPS,
    MAX_COMPUTED_VALUES,
    MISSING,
    Attributes,
    TooLargeError,
    fold,
    tensor_array,
)
from alexnet.models.layers import Layer, Shape

Node: TypeAlias = Any
Pads: TypeAlias = tuple[int, int, int, int]
"""Zeros at the top, left, bottom and right."""
NO_PADS: Pads = (0, 0, 0, 0)
NAME = "layer"
"""Name of every parsed layer; a file's own names, which can be any text, are for messages only."""


def attributes_of(node: Node) -> Attributes:
    """A node's attributes by name."""
    from onnx.helper import get_attribute_value

    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def describe(node: Node) -> str:
    """A node's type and name, for messages: "LRN 'n2'"."""
    name = node.name or next(iter(node.output), "")
    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    return f"{domain}{node.op_type} {name!r}"


@dataclass(eq=False)
class Chain:
    """The layers parsed so far, and the current value, which is the one at the end of them."""

    path: Path
    constants: dict[str, np.ndarray]
    """Values by name that do not depend on the images."""
    current: str
    """Name of the value that the next node must take."""
    shape: Shape
    """Shape of that value: (channels, height, width) or (features,)."""
    batch_size: int = 1
    is_channels_last: bool = False
    """Whether the channels are the last axis of the value, as in TensorFlow."""
    layers: list[ParsedLayer] = field(default_factory=list)
    groups: int = 1
    """Number of groups into which a Reshape has split the channels for the next norm."""
    pads: Pads = NO_PADS
    """Padding of a Pad node, which becomes a part of the next layer."""
    input_scale: np.ndarray = field(default_factory=lambda: np.ones((1, 1, 1), np.float32))
    input_offset: np.ndarray = field(default_factory=lambda: np.zeros((1, 1, 1), np.float32))
    """The first layer takes images * `input_scale` + `input_offset`, each of shape
    [C or 1, 1 or H, 1 or W]."""
    logits: str = ""
    """Name of the value before the softmax, or the sigmoid of one output; "" before one is met."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what was left out."""
    shapes: dict[str, list[int]] = field(default_factory=dict)
    """Shapes of values by name, with the batch, in the file's order of axes."""
    num_computed: int = 0

    def __post_init__(self) -> None:
        self.input_shape = self.shape
        self.shapes[self.current] = self.full_shape

    @property
    def full_shape(self) -> list[int]:
        """The shape of the current value, with the batch, in the file's order of axes."""
        if len(self.shape) == 1:
            return [self.batch_size, *self.shape]
        c, h, w = self.shape
        if self.is_channels_last:
            return [self.batch_size, h, w, c]
        return [self.batch_size * self.groups, c // self.groups, h, w]

    def advance(self, node: Node) -> None:
        """Make the node's output the current value."""
        self.current = node.output[0]
        self.shapes[self.current] = self.full_shape

    def fail(self, node: Node, reason: str) -> NoReturn:
        """Raise an error that names the node."""
        raise ModelFileError(f"{self.path}: {describe(node)} {reason}")

    def note(self, sentence: str) -> None:
        """Add a note for the user, unless it is there already."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def add(self, node: Node, layer: Layer, **weights: np.ndarray) -> None:
        """Add a parsed layer, and update the shape to that of its output."""
        self.layers.append(ParsedLayer(layer, describe(node), weights))
        try:
            self.shape = layer.output(self.shape)
        except ArchitectureError as error:
            self.fail(node, f"cannot be computed: {str(error).removeprefix(f'{NAME}: ')}")

    def need_channels_first(self, node: Node) -> None:
        """Reject a node that takes channels first if the current value has them last."""
        if self.is_channels_last:
            self.fail(node, "takes images with the channels last, which ONNX's layers do not")

    def is_constant(self, node: Node) -> bool:
        """Whether a node has no input that depends on the images."""
        return all(name in self.constants for name in node.input if name)

    def constant(self, node: Node, index: int) -> np.ndarray:
        """The value of a node's input, which must be a constant."""
        name = node.input[index] if index < len(node.input) else ""
        if name not in self.constants:
            self.fail(node, f"takes {name!r}, which is not a constant")
        return np.asarray(self.constants[name])

    def constant_operand(self, node: Node) -> np.ndarray:
        """The constant one of a node's two inputs."""
        return self.constant(node, 1 if node.input[1] in self.constants else 0)

    def operands(self, node: Node) -> list[np.ndarray]:
        """The values of a node's inputs; those that are no constants are arrays without values."""
        return [np.asarray(self.constants.get(name, MISSING)) for name in node.input]

    def compute(self, node: Node) -> None:
        """Compute a node that does not depend on the images."""
        if node.op_type not in FOLDED_OPS:
            self.fail(node, "computes a constant in a way that is not supported")
        try:
            value = fold(node.op_type, attributes_of(node), self.operands(node))
        except TooLargeError as error:
            self.fail(node, str(error))
        self.constants[node.output[0]] = value
        self.num_computed += value.size
        if self.num_computed > MAX_COMPUTED_VALUES:
            raise ModelFileError(
                f"{self.path}: its constant nodes compute {self.num_computed:,} values; "
                f"at most {MAX_COMPUTED_VALUES:,} are allowed"
            )

    def add_initializers(self, graph: Any) -> None:
        """Add the constants of a graph inside a node."""
        self.constants |= {one.name: tensor_array(one) for one in graph.initializer}
