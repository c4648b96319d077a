"""Read adaptive average pools that torch's exporter has written as several nodes.

If the input's size is no multiple of the output's, the windows overlap. Then all windows are
gathered, [N, C, H, W] to [N, C, rows, height, columns, width], and averaged: Transpose, GatherND,
Transpose and ReduceMean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alexnet.interop.onnx.chain import NAME, Chain, Node, attributes_of
from alexnet.interop.onnx.constants import axes_of
from alexnet.models.layers import AdaptivePool

PERMS = ([2, 3, 0, 1], [4, 5, 0, 1, 2, 3])
"""Permutations of the Transpose before and after the GatherND."""


@dataclass(eq=False)
class AdaptivePoolBranch:
    """The nodes of an adaptive pool that follow its first Transpose."""

    chain: Chain
    first: Node
    current: str
    """Name of the value that the next node must take."""
    size: int = 0
    """Side of the output; 0 until the GatherND has been read."""

    def take(self, node: Node) -> bool:
        """Read the branch's next node; return whether it was the last one."""
        attributes, operands = attributes_of(node), self.chain.operands(node)
        is_last = bool(node.op_type == "ReduceMean")
        if is_last:
            axes = sorted(axis % 6 for axis in axes_of(attributes, operands))
            is_right = self.size > 0 and axes == [3, 5] and not attributes.get("keepdims", 1)
        elif node.op_type == "GatherND":
            self.size = output_size_of(operands[1], self.chain.shape[1:])
            is_right = self.size > 0
        else:
            is_right = node.op_type == "Transpose" and list(attributes["perm"]) == PERMS[1]
        if not is_right or node.input[0] != self.current:
            self.chain.fail(
                self.first,
                "permutes axes as an adaptive pool does, but is none that can be read: only "
                "averages over windows of one size are",
            )
        self.current = node.output[0]
        if is_last:
            self.chain.add(self.first, AdaptivePool(NAME, self.size))
            self.chain.advance(node)
        return is_last


def starts_adaptive_pool(chain: Chain, node: Node) -> bool:
    """Whether a node is the first of an adaptive pool."""
    if node.op_type != "Transpose" or chain.is_channels_last or len(chain.shape) != 3:
        return False
    perm = list(attributes_of(node).get("perm", ()))
    return perm == PERMS[0] and bool(node.input[0] == chain.current)


def output_size_of(indices: np.ndarray, sides: tuple[int, ...]) -> int:
    """The output size of the adaptive pool that averages these pixels; 0 if none does.

    Args:
        indices: (row, column) of each pixel, [rows, height, columns, width, 2].
        sides: height and width of the input.
    """
    if indices.ndim != 5 or indices.shape[:2] != indices.shape[2:4] or len(set(sides)) > 1:
        return 0
    size, length = indices.shape[:2]
    starts = np.arange(size) * sides[0] // size
    ends = -(-(np.arange(size) + 1) * sides[0] // size)
    if not np.all(ends - starts == length):
        return 0
    pixels = starts[:, None] + np.arange(length)
    rows, columns = pixels[:, :, None, None], pixels[None, None]
    expected = np.stack(np.broadcast_arrays(rows, columns), -1)
    return size if np.array_equal(indices, expected) else 0
