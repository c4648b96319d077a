"""Read nodes that change the axes or the shape of a feature map, or pool all of it."""

from __future__ import annotations

from math import prod

from alexnet.interop.onnx.chain import NAME, Chain, Node
from alexnet.interop.onnx.constants import Attributes, axes_of, resolve_shape
from alexnet.interop.onnx.nodes import NodeParser
from alexnet.models.layers import AdaptivePool, Flatten

TO_CHANNELS_LAST = [0, 2, 3, 1]
TO_CHANNELS_FIRST = [0, 3, 1, 2]


def _transpose(chain: Chain, node: Node, attributes: Attributes) -> None:
    perm = list(attributes.get("perm", ()))
    expected = TO_CHANNELS_FIRST if chain.is_channels_last else TO_CHANNELS_LAST
    if perm == sorted(perm) and len(perm) == len(chain.full_shape):
        return
    if perm != expected or len(chain.shape) != 3:
        chain.fail(node, "permutes axes in another way than to channels last or first")
    chain.is_channels_last = not chain.is_channels_last


def _flatten(chain: Chain, node: Node, attributes: Attributes) -> None:
    if attributes.get("axis", 1) not in (1, 1 - len(chain.full_shape)):
        chain.fail(node, "flattens across the batch")
    _add_flatten(chain, node)


def _add_flatten(chain: Chain, node: Node) -> None:
    if len(chain.shape) == 3:
        chain.add(node, Flatten(NAME, "hwc" if chain.is_channels_last else "chw"))
    chain.is_channels_last = False


def _reshape(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Read a Reshape that flattens, or that splits channels into groups for a norm and back."""
    shape, c = chain.full_shape, chain.shape[0]
    target = chain.constant(node, 1).ravel().tolist()
    allow_zero = bool(attributes.get("allowzero"))
    new = resolve_shape(target, shape, allow_zero=allow_zero)
    is_split = len(new) == len(shape) == 4 and new[2:] == shape[2:] and new[1] > 0
    if new == shape or new == [chain.batch_size, prod(chain.shape)]:
        if len(new) == 2:
            _add_flatten(chain, node)
    elif is_split and not chain.is_channels_last and c % new[1] == 0:
        chain.groups = c // new[1]
    else:
        chain.fail(node, f"reshapes {list(chain.shape)} to {target}, which is not supported")


def _squeeze(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Read a Squeeze that flattens maps of a single pixel."""
    shape = chain.full_shape
    axes = axes_of(attributes, chain.operands(node))
    axes = sorted(axis % len(shape) for axis in axes) or [i for i, n in enumerate(shape) if n == 1]
    left = [n for i, n in enumerate(shape) if i not in axes]
    if left != [chain.batch_size, prod(chain.shape)]:
        chain.fail(node, f"squeezes {shape[1:]}, which is more than a pixel for each channel")
    _add_flatten(chain, node)


def _reduce(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Read a mean or maximum over rows and columns as a global pool."""
    rank = len(chain.full_shape)
    axes = sorted(axis % rank for axis in axes_of(attributes, chain.operands(node)))
    if rank != 4 or axes != ([1, 2] if chain.is_channels_last else [2, 3]):
        chain.fail(node, "is not over the rows and columns of an image")
    reduce = "max" if node.op_type == "ReduceMax" else "average"
    chain.add(node, AdaptivePool(NAME, 1, reduce))  # type: ignore[arg-type]
    if not attributes.get("keepdims", 1):
        _add_flatten(chain, node)


RESHAPES: dict[str, NodeParser] = {
    "Transpose": _transpose,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "ReduceMean": _reduce,
    "ReduceMax": _reduce,
}
"""Functions that read a node, by its type."""
