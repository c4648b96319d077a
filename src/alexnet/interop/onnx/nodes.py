"""Parse the nodes of an ONNX graph, which must be one chain, into layers.

ONNX's LRN divides alpha by its size; ours multiplies each squared term by alpha, so ours is ONNX's
divided by the size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from alexnet.errors import ModelFileError
from alexnet.interop.match import BATCH_NORM, ParsedLayer
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
    ResponseNorm,
    Shape,
    WithinChannelLRN,
    output_size,
)

Node: TypeAlias = Any
Attributes: TypeAlias = dict[str, Any]
WITHIN_CHANNEL_LRN_OPS = ["Mul", "AveragePool", "Mul", "Add", "Pow", "Mul"]
"""How a within-channel LRN is exported; the first node squares its input."""
TO_CHANNELS_LAST = [0, 2, 3, 1]


def attributes_of(node: Node) -> Attributes:
    """A node's attributes by name."""
    from onnx.helper import get_attribute_value

    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def describe(node: Node) -> str:
    """A node's type and name, for messages: "LRN 'n2'"."""
    return f"{node.op_type} {node.name or node.output[0]!r}"


@dataclass(eq=False)
class ChainParser:
    """Parses a chain of nodes; holds the value and the shape at the end of what is parsed."""

    path: Path
    constants: dict[str, np.ndarray]
    current: str
    """Name of the value that the next node must take."""
    shape: Shape
    """Of that value, without the batch."""
    layers: list[ParsedLayer] = field(default_factory=list)
    groups: int = 1
    """Into how many groups a Reshape has split the channels for the norm that follows."""
    is_channels_last: bool = False
    """Whether a Transpose has put the channels last."""

    def parse(self, nodes: Sequence[Node]) -> None:
        """Parse all nodes.

        Raises:
            ModelFileError: names the first node that does not continue the chain, or is no layer.
        """
        i = 0
        while i < len(nodes):
            node = nodes[i]
            if self.current not in node.input:
                self.fail(node, "does not take the output of the node before it: not one chain")
            is_square = list(node.input) == [self.current] * 2
            count = len(WITHIN_CHANNEL_LRN_OPS) if is_square else 1
            if is_square:
                self.match_within_channel_lrn(nodes[i : i + count])
            else:
                self.parse_node(node)
            self.current = nodes[i + count - 1].output[0]
            i += count

    def parse_node(self, node: Node) -> None:
        """Parse a node that is a layer by itself, or a part of the layer before it."""
        if node.op_type in PARSERS:
            PARSERS[node.op_type](self, node, attributes_of(node))
        elif node.op_type in ("Sub", "Div") and not self.layers:
            self.fail(
                node,
                "is preprocessing; only networks without it can be imported "
                "(export without --with-preprocessing)",
            )
        else:
            self.fail(node, "is not a layer of any architecture here")

    def fail(self, node: Node, reason: str) -> NoReturn:
        """Raise an error that names the node."""
        raise ModelFileError(f"{self.path}: {describe(node)} {reason}")

    def add(self, node: Node, layer: Layer, **weights: np.ndarray) -> None:
        """Add a parsed layer."""
        self.layers.append(ParsedLayer(layer, describe(node), weights))
        self.shape = layer.output(self.shape)

    def constant(self, node: Node, index: int) -> np.ndarray:
        """An input of a node that must not depend on the images."""
        name = node.input[index]
        if name not in self.constants:
            self.fail(node, f"takes {name!r}, which is not a constant")
        return np.asarray(self.constants[name])

    def constant_operand(self, node: Node) -> np.ndarray:
        """The constant one of a node's two inputs."""
        return self.constant(node, 1 if node.input[1] in self.constants else 0)

    def check_window(self, node: Node, attributes: Attributes) -> None:
        """Reject dilation and automatic padding."""
        is_dilated = any(d != 1 for d in attributes.get("dilations", ()))
        if is_dilated or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            self.fail(node, "has dilation or automatic padding, which is not supported")

    def match_within_channel_lrn(self, nodes: Sequence[Node]) -> None:
        """X * (alpha * size**2 * mean of x * x + k) ** -beta, in six nodes."""
        if [node.op_type for node in nodes] != WITHIN_CHANNEL_LRN_OPS:
            self.fail(nodes[0], "squares its input, but is not part of a within-channel LRN")
        size = int(attributes_of(nodes[1])["kernel_shape"][0])
        scale, k, power = (float(self.constant_operand(node).item()) for node in nodes[2:5])
        layer = WithinChannelLRN(nodes[0].output[0], size, scale / size**2, -power, k)
        self.add(nodes[0], layer)


def _conv(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    parser.check_window(node, attributes)
    weight = parser.constant(node, 1)
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    strides = attributes.get("strides", (1, 1))
    if weight.ndim != 4 or weight.shape[2] != weight.shape[3] or len(set(strides)) > 1:
        parser.fail(node, "is not a convolution with square kernels and equal strides")
    if (top, bottom) != (left, right) or bottom < top:
        parser.fail(node, f"has padding {[top, left, bottom, right]}, which is not supported")
    layer = Conv(
        node.output[0],
        channels=weight.shape[0],
        kernel=weight.shape[2],
        stride=int(strides[0]),
        padding=int(top),
        extra_padding=int(bottom - top),
        groups=int(attributes.get("group", 1)),
    )
    parser.add(node, layer, weight=weight, **_bias(parser, node))


def _bias(parser: ChainParser, node: Node) -> dict[str, np.ndarray]:
    has_bias = len(node.input) > 2 and node.input[2]
    return {"bias": parser.constant(node, 2)} if has_bias else {}


def _gemm(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    is_scaled = not attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
    if is_scaled or attributes.get("transA", 0):
        parser.fail(node, "has alpha, beta or transA, which is not supported")
    weight = parser.constant(node, 1)
    _fully_connected(parser, node, weight if attributes.get("transB", 0) else weight.T)


def _matmul(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    _fully_connected(parser, node, parser.constant(node, 1).T)


def _fully_connected(parser: ChainParser, node: Node, weight: np.ndarray) -> None:
    if weight.ndim != 2:
        parser.fail(node, f"multiplies by an array of {weight.ndim} dimensions instead of 2")
    bias = {name: array.reshape(-1) for name, array in _bias(parser, node).items()}
    parser.add(node, FullyConnected(node.output[0], weight.shape[0]), weight=weight, **bias)


def _add(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    """The bias of the layer before."""
    last = parser.layers[-1] if parser.layers else None
    has_weights = last and isinstance(last.layer, Conv | FullyConnected)
    if last is None or not has_weights or "bias" in last.weights:
        parser.fail(node, "adds something that is not a bias")
    bias = parser.constant_operand(node).reshape(-1)
    weights = {**last.weights, "bias": bias}
    parser.layers[-1] = ParsedLayer(last.layer, last.description, weights)


def _activation(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    functions = {"Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}
    function = functions[node.op_type]
    parser.add(node, Activation(node.output[0], function))  # type: ignore[arg-type]


def _lrn(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    size = int(attributes["size"])
    layer = ResponseNorm(
        node.output[0],
        size=size,
        alpha=float(attributes.get("alpha", 1e-4)) / size,
        beta=float(attributes.get("beta", 0.75)),
        k=float(attributes.get("bias", 1.0)),
        groups=parser.groups,
    )
    parser.add(node, layer)


def _pool(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    parser.check_window(node, attributes)
    sizes, strides = attributes["kernel_shape"], attributes.get("strides", (1, 1))
    if len({*sizes}) > 1 or len({*strides}) > 1:
        parser.fail(node, "is not a pool with a square window and equal strides")
    size, stride = int(sizes[0]), int(strides[0])
    if size == stride == 1:
        return
    is_max = node.op_type == "MaxPool"
    pads = attributes.get("pads", (0, 0, 0, 0))
    is_ceil = bool(attributes.get("ceil_mode"))
    ceil = _equivalent_ceil(parser.shape[1], size, stride, pads, is_max=is_max, is_ceil=is_ceil)
    if ceil is None:
        parser.fail(node, f"has padding {list(pads)}, which is not supported")
    reduce = "max" if is_max else "average"
    parser.add(node, Pool(node.output[0], size, stride, ceil, reduce))  # type: ignore[arg-type]


def _equivalent_ceil(
    length: int, size: int, stride: int, pads: Sequence[int], *, is_max: bool, is_ceil: bool
) -> bool | None:
    """The `ceil` of a pool without padding that has the same windows; None where none has.

    Caffe's nets come with padding at the right and bottom in the place of `ceil`. A maximum
    ignores it, an average does not.
    """
    top, left, bottom, right = pads
    if top or left or bottom != right or (bottom and not is_max):
        return None
    count = output_size(length + bottom, size, stride, 0, is_ceil)
    choices = (c for c in (False, True) if output_size(length, size, stride, 0, c) == count)
    return next(choices, None)


def _global_pool(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    parser.add(node, AdaptivePool(node.output[0], 1))


def _batch_norm(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    arrays = (parser.constant(node, index) for index in range(1, 5))
    layer = BatchNorm(node.output[0], float(attributes.get("epsilon", 1e-5)))
    parser.add(node, layer, **dict(zip(BATCH_NORM, arrays, strict=True)))


def _transpose(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    if list(attributes.get("perm", ())) != TO_CHANNELS_LAST or parser.is_channels_last:
        parser.fail(node, "permutes axes in another way than to channels last")
    parser.is_channels_last = True


def _flatten(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    if attributes.get("axis", 1) != 1:
        parser.fail(node, "flattens across the batch")
    parser.add(node, Flatten(node.output[0], "hwc" if parser.is_channels_last else "chw"))
    parser.is_channels_last = False


def _reshape(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    """Flatten; or channels into groups for a norm, and back."""
    target = [int(n) for n in parser.constants.get(node.input[1], (-1, prod(parser.shape)))]
    c, *sides = parser.shape
    if len(target) == 2 and target[1] in (-1, prod(parser.shape)) and len(sides) == 2:
        _flatten(parser, node, {})
    elif len(target) == 2 and len(sides) == 0 and target[1] in (-1, c):
        return
    elif len(target) == 4 and target[2:] == sides and target[1] > 0 and c % target[1] == 0:
        parser.groups = c // target[1]
    else:
        parser.fail(node, f"reshapes {list(parser.shape)} to {target}, which is not supported")


def _inactive(parser: ChainParser, node: Node, attributes: Attributes) -> None:
    """Dropout and the identity, which do nothing in inference."""
    if node.op_type == "Dropout":
        parser.add(node, Dropout(node.output[0]))


PARSERS: dict[str, Callable[[ChainParser, Node, Attributes], None]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Relu": _activation,
    "Tanh": _activation,
    "Sigmoid": _activation,
    "LRN": _lrn,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_pool,
    "BatchNormalization": _batch_norm,
    "Transpose": _transpose,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": _inactive,
    "Identity": _inactive,
}
"""By the node's type."""
