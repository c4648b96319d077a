"""The nodes of an ONNX graph as layers, one after the other.

ONNX's LRN divides alpha by its size; ours multiplies each squared term: ours = alpha / size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from alexnet.errors import ModelFileError
from alexnet.interop.match import BATCH_NORM, Found
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
MAP_NORM_OPS = ["Mul", "AveragePool", "Mul", "Add", "Pow", "Mul"]


def attributes_of(node: Node) -> dict[str, Any]:
    """A node's constants by name."""
    from onnx.helper import get_attribute_value

    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def where(node: Node) -> str:
    """How a person finds a node: "LRN n2"."""
    return f"{node.op_type} {node.name or node.output[0]!r}"


@dataclass(eq=False)
class Walk:
    """A walk along the chain: where it is, and what it has found."""

    path: Path
    constants: dict[str, np.ndarray]
    current: str
    shape: Shape
    found: list[Found] = field(default_factory=list)
    columns: int = 1
    """Into how many columns a Reshape has split the maps for the norm that follows."""
    is_channels_last: bool = False
    """Whether a Transpose has put the channels last."""

    def __post_init__(self) -> None:
        self.input = self.shape

    def take_all(self, nodes: Sequence[Node]) -> None:
        """Walk to the end."""
        i = 0
        while i < len(nodes):
            node = nodes[i]
            if self.current not in node.input:
                self.refuse(node, "does not follow from the node before it: not one chain")
            is_map_norm = list(node.input) == [self.current] * 2
            count = len(MAP_NORM_OPS) if is_map_norm else 1
            if is_map_norm:
                self.take_map_norm(nodes[i : i + count])
            elif node.op_type in READERS:
                READERS[node.op_type](self, node, attributes_of(node))
            elif node.op_type in ("Sub", "Div") and not self.found:
                self.refuse(
                    node,
                    "prepares the pictures; only bare networks are read, "
                    "such as exported without --with-preprocessing",
                )
            else:
                self.refuse(node, "is no layer of the networks here")
            self.current = nodes[i + count - 1].output[0]
            i += count

    def refuse(self, node: Node, what: str) -> NoReturn:
        """Raise the error that names a node."""
        raise ModelFileError(f"{self.path}: {where(node)} {what}")

    def add(self, node: Node, layer: Layer, **weights: np.ndarray) -> None:
        """Go on with a layer's output."""
        self.found.append(Found(layer, where(node), weights))
        self.shape = layer.output(self.shape)

    def constant(self, node: Node, place: int) -> np.ndarray:
        """An input that must not depend on the pictures."""
        name = node.input[place]
        if name not in self.constants:
            self.refuse(node, f"has no constant for {name!r}")
        return np.asarray(self.constants[name])

    def other(self, node: Node) -> np.ndarray:
        """The constant of a node with two inputs."""
        return self.constant(node, 1 if node.input[1] in self.constants else 0)

    def plain(self, node: Node, attributes: dict[str, Any]) -> None:
        """Refuse dilation and automatic padding."""
        is_dilated = any(d != 1 for d in attributes.get("dilations", ()))
        if is_dilated or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            self.refuse(node, "has dilations or automatic padding")

    def take_map_norm(self, nodes: Sequence[Node]) -> None:
        """Squares, their mean in a window, times a, plus k, to a power, times the maps."""
        if [node.op_type for node in nodes] != MAP_NORM_OPS:
            self.refuse(nodes[0], "squares the maps, but no norm of the networks here follows")
        size = int(attributes_of(nodes[1])["kernel_shape"][0])
        scale, k, power = (float(self.other(node).item()) for node in nodes[2:5])
        layer = WithinChannelLRN(nodes[0].output[0], size, scale / size**2, -power, k)
        self.add(nodes[0], layer)


def _conv(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    walk.plain(node, attributes)
    weight = walk.constant(node, 1)
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    strides = attributes.get("strides", (1, 1))
    if weight.ndim != 4 or weight.shape[2] != weight.shape[3] or len(set(strides)) > 1:
        walk.refuse(node, "is not a square convolution")
    if (top, bottom) != (left, right) or bottom < top:
        walk.refuse(node, f"has the padding {[top, left, bottom, right]}")
    layer = Conv(
        node.output[0],
        weight.shape[0],
        weight.shape[2],
        int(strides[0]),
        int(top),
        int(bottom - top),
        int(attributes.get("group", 1)),
    )
    walk.add(node, layer, weight=weight, **_bias(walk, node))


def _bias(walk: Walk, node: Node) -> dict[str, np.ndarray]:
    has_bias = len(node.input) > 2 and node.input[2]
    return {"bias": walk.constant(node, 2)} if has_bias else {}


def _gemm(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    is_plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
    if not is_plain or attributes.get("transA", 0):
        walk.refuse(node, "is scaled or transposed")
    weight = walk.constant(node, 1)
    _matrix(walk, node, weight if attributes.get("transB", 0) else weight.T)


def _matmul(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    _matrix(walk, node, walk.constant(node, 1).T)


def _matrix(walk: Walk, node: Node, weight: np.ndarray) -> None:
    if weight.ndim != 2:
        walk.refuse(node, f"multiplies by an array of {weight.ndim} axes")
    bias = {name: array.reshape(-1) for name, array in _bias(walk, node).items()}
    walk.add(node, FullyConnected(node.output[0], weight.shape[0]), weight=weight, **bias)


def _add(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    """The bias of the layer before."""
    before = walk.found[-1] if walk.found else None
    is_bias = before and isinstance(before.layer, Conv | FullyConnected)
    if before is None or not is_bias or "bias" in before.weights:
        walk.refuse(node, "adds something that is not a bias")
    bias = walk.other(node).reshape(-1)
    walk.found[-1] = Found(before.layer, before.where, {**before.weights, "bias": bias})


def _activation(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    functions = {"Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}
    walk.add(node, Activation(node.output[0], functions[node.op_type]))  # type: ignore[arg-type]


def _lrn(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    size = int(attributes["size"])
    layer = ResponseNorm(
        node.output[0],
        size,
        float(attributes.get("alpha", 1e-4)) / size,
        float(attributes.get("beta", 0.75)),
        float(attributes.get("bias", 1.0)),
        walk.columns,
    )
    walk.add(node, layer)


def _pool(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    walk.plain(node, attributes)
    is_max = node.op_type == "MaxPool"
    sizes, strides = attributes["kernel_shape"], attributes.get("strides", (1, 1))
    if len({*sizes}) > 1 or len({*strides}) > 1:
        walk.refuse(node, "is not a square pool")
    size, stride = int(sizes[0]), int(strides[0])
    if size == stride == 1:
        return
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    is_padded = bool(top or left or bottom != right or (bottom and not is_max))
    count = output_size(walk.shape[1] + bottom, size, stride, 0, bool(attributes.get("ceil_mode")))
    ceils = [
        ceil for ceil in (False, True) if output_size(walk.shape[1], size, stride, 0, ceil) == count
    ]
    if is_padded or not ceils:
        walk.refuse(node, f"has the padding {[top, left, bottom, right]}")
    reduce = "max" if is_max else "average"
    walk.add(node, Pool(node.output[0], size, stride, ceils[0], reduce))  # type: ignore[arg-type]


def _global_pool(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    walk.add(node, AdaptivePool(node.output[0], 1))


def _batch_norm(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    arrays = (walk.constant(node, place) for place in range(1, 5))
    epsilon = float(attributes.get("epsilon", 1e-5))
    layer = BatchNorm(node.output[0], epsilon)
    walk.add(node, layer, **dict(zip(BATCH_NORM, arrays, strict=True)))


def _transpose(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    if list(attributes.get("perm", ())) != [0, 2, 3, 1] or walk.is_channels_last:
        walk.refuse(node, "turns axes otherwise than to channels last")
    walk.is_channels_last = True


def _flatten(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    if attributes.get("axis", 1) != 1:
        walk.refuse(node, "does not keep the batch")
    walk.add(node, Flatten(node.output[0], "hwc" if walk.is_channels_last else "chw"))
    walk.is_channels_last = False


def _reshape(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    """To a vector; or to columns of maps for a norm, and back."""
    target = [int(n) for n in walk.constants.get(node.input[1], (-1, prod(walk.shape)))]
    c, *sides = walk.shape
    if len(target) == 2 and target[1] in (-1, prod(walk.shape)) and len(sides) == 2:
        _flatten(walk, node, {})
    elif len(target) == 2 and len(sides) == 0 and target[1] in (-1, c):
        return
    elif len(target) == 4 and target[2:] == sides and target[1] > 0 and c % target[1] == 0:
        walk.columns = c // target[1]
    else:
        walk.refuse(node, f"makes {target} of maps of {list(walk.shape)}")


def _nothing(walk: Walk, node: Node, attributes: dict[str, Any]) -> None:
    """Dropout and the identity, when a net is used."""
    if node.op_type == "Dropout":
        walk.add(node, Dropout(node.output[0]))


READERS: dict[str, Callable[[Walk, Node, dict[str, Any]], None]] = {
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
    "Dropout": _nothing,
    "Identity": _nothing,
}
