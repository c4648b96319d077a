"""Read response norms that an exporter has written as several nodes.

torch's exporters have no node for `nn.LocalResponseNorm`: they write it, x / (k + alpha * mean of
x^2 over a window)^beta, as Mul, Reshape, Pad, AveragePool, Squeeze, Reshape, Mul, Add, Pow and Div.
Other programs' norms, and norms within a channel, have similar forms. The branch from x^2 to the
division is read node by node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alexnet.interop.onnx.chain import NAME, Chain, Node, attributes_of
from alexnet.interop.onnx.constants import Attributes, axes_of, resolve_shape
from alexnet.models.layers import Layer, ResponseNorm, WithinChannelLRN


@dataclass(eq=False)
class NormBranch:
    """The branch of a norm from its squared input to the number by which the input is divided."""

    chain: Chain
    first: Node
    """The node that squares the input."""
    current: str
    """Name of the value at the end of the branch."""
    shape: list[int]
    """Shape of that value, with the batch."""
    before: tuple[int, int] = (0, 0)
    """Zeros before the first and after the last channel."""
    window: tuple[int, int, int] = (1, 1, 1)
    """Channels, rows and columns of the window of the mean."""
    sides: tuple[int, ...] = (0, 0, 0, 0)
    """Zeros at the top, left, bottom and right."""
    scale: float = 1.0
    """Factor of the mean."""
    k: float = 0.0
    power: float = 1.0

    def take(self, node: Node) -> bool:
        """Read the next node; return whether it was the last, which combines branch and input."""
        if self.chain.current in node.input:
            self._finish(node)
            return True
        step = STEPS.get(node.op_type)
        if step is None or self.current not in node.input or not step(self, node):
            self.chain.fail(
                self.first,
                "squares its input, as a local response norm does, but "
                f"{node.op_type} {node.name or node.output[0]!r} belongs to no such norm that "
                "can be read",
            )
        self.current = node.output[0]
        self.chain.shapes[self.current] = self.shape
        return False

    def _finish(self, node: Node) -> None:
        """Read the division (or product with a negative power), and add the norm to the chain."""
        is_last = list(node.input) == [self.chain.current, self.current]
        is_product = node.op_type == "Mul" and set(node.input) == {self.chain.current, self.current}
        layer = self._layer(self.power if node.op_type == "Div" else -self.power)
        if not (is_product or (is_last and node.op_type == "Div")) or layer is None:
            self.chain.fail(
                self.first,
                "squares its input, but is not part of a local response norm that can be read: "
                "only means over an odd number of channels, or within a channel, are",
            )
        self.chain.add(self.first, layer)
        self.chain.advance(node)

    def _layer(self, beta: float) -> Layer | None:
        """The norm of a complete branch; None if we have no such layer."""
        size, rows, columns = self.window
        if beta < 0 or self.shape != self.chain.full_shape:
            return None
        if (rows, columns) == (1, 1) and self.before == (size // 2, (size - 1) // 2):
            alpha = self.scale / size
            return ResponseNorm(NAME, size, alpha, beta, self.k, groups=self.chain.groups)
        if size == 1 and rows == columns and self.sides == (rows // 2,) * 4 and rows % 2:
            return WithinChannelLRN(NAME, rows, self.scale / rows**2, beta, self.k)
        return None


def starts_norm(chain: Chain, node: Node) -> bool:
    """Whether a node squares the chain's current value."""
    if node.op_type == "Mul":
        return list(node.input) == [chain.current] * 2
    return (
        node.op_type == "Pow"
        and node.input[0] == chain.current
        and node.input[1] in chain.constants
        and bool(np.all(chain.constants[node.input[1]] == 2))
    )


def norm_branch(chain: Chain, node: Node) -> NormBranch:
    """Begin the branch of a norm at a node for which `starts_norm` is true."""
    chain.need_channels_first(node)
    chain.shapes[node.output[0]] = chain.full_shape
    return NormBranch(chain, node, node.output[0], chain.full_shape)


def _reshape(branch: NormBranch, node: Node) -> bool:
    """Read the adding or removing of an axis of size 1 before the channels."""
    attributes, operands = attributes_of(node), branch.chain.operands(node)
    b, *rest = branch.shape
    if node.op_type == "Reshape":
        allow_zero = bool(attributes.get("allowzero"))
        shape = resolve_shape(operands[1].tolist(), branch.shape, allow_zero=allow_zero)
    elif axes_of(attributes, operands) == [1]:
        shape = [b, 1, *rest] if node.op_type == "Unsqueeze" else [b, *rest[1:]]
    else:
        return False
    c, h, w = rest[-3:]
    is_same = shape in ([b, c, h, w], [b, 1, c, h, w])
    branch.shape = shape
    return is_same


def _pad(branch: NormBranch, node: Node) -> bool:
    attributes = attributes_of(node)
    pads, is_zero = pad_widths(branch.chain, node, attributes, len(branch.shape))
    *start, before, top, left = pads[: len(pads) // 2]
    *end, after, bottom, right = pads[len(pads) // 2 :]
    branch.shape = [n + a + b for n, a, b in zip(branch.shape, *_halves(pads), strict=True)]
    branch.before = (branch.before[0] + before, branch.before[1] + after)
    sides = (top, left, bottom, right)
    branch.sides = tuple(a + b for a, b in zip(branch.sides, sides, strict=True))
    return is_zero and not any(start + end)


def _halves(pads: list[int]) -> tuple[list[int], list[int]]:
    return pads[: len(pads) // 2], pads[len(pads) // 2 :]


def pad_widths(
    chain: Chain, node: Node, attributes: Attributes, rank: int
) -> tuple[list[int], bool]:
    """What a Pad node adds before all axes, then after all, and whether it adds zeros."""
    operands = chain.operands(node)
    pads = list(attributes.get("pads", ())) or operands[1].tolist()
    if len(operands) > 3 and operands[3].size:
        full = [0] * (2 * rank)
        for i, axis in enumerate(operands[3].tolist()):
            full[axis % rank] = pads[i]
            full[axis % rank + rank] = pads[i + len(pads) // 2]
        pads = full
    value = operands[2] if len(operands) > 2 else np.asarray(attributes.get("value", 0.0))
    is_zero = attributes.get("mode", b"constant") == b"constant" and not np.any(value)
    return [int(n) for n in pads], is_zero


def _average(branch: NormBranch, node: Node) -> bool:
    attributes = attributes_of(node)
    kernel = [int(n) for n in attributes["kernel_shape"]]
    strides = attributes.get("strides", [1] * len(kernel))
    pads = [int(n) for n in attributes.get("pads", [0] * 2 * len(kernel))]
    counts_pads = bool(attributes.get("count_include_pad", 0)) or not any(pads)
    start, end = _halves(pads)
    is_first = branch.window == (1, 1, 1) and branch.k == 0 and branch.power == 1
    is_3d = len(kernel) == 3
    before, after = (start[0], end[0]) if is_3d else (0, 0)
    branch.before = (branch.before[0] + before, branch.before[1] + after)
    sides = (*start[-2:], *end[-2:])
    branch.sides = tuple(a + b for a, b in zip(branch.sides, sides, strict=True))
    channels, rows, columns = kernel if is_3d else (1, *kernel)
    branch.window = (channels, rows, columns)
    spatial = branch.shape[-len(kernel) :]
    outputs = [n + a + b - k + 1 for n, a, b, k in zip(spatial, start, end, kernel, strict=True)]
    branch.shape = [*branch.shape[: -len(kernel)], *outputs]
    return is_first and counts_pads and set(strides) == {1}


def _number(branch: NormBranch, node: Node) -> float | None:
    """The constant operand, if it is one number."""
    other = [name for name in node.input if name != branch.current]
    value = branch.chain.constants.get(other[0]) if len(other) == 1 else None
    return float(np.asarray(value).item()) if value is not None and np.size(value) == 1 else None


def _scale(branch: NormBranch, node: Node) -> bool:
    number = _number(branch, node)
    if number is None or branch.power != 1 or (node.op_type == "Div" and number == 0):
        return False
    if node.op_type == "Div" and node.input[0] != branch.current:
        return False
    factor = 1 / number if node.op_type == "Div" else number
    branch.scale, branch.k = branch.scale * factor, branch.k * factor
    return True


def _shift(branch: NormBranch, node: Node) -> bool:
    number = _number(branch, node)
    branch.k += number or 0.0
    return number is not None and branch.power == 1


def _power(branch: NormBranch, node: Node) -> bool:
    number = 0.5 if node.op_type == "Sqrt" else _number(branch, node)
    branch.power *= number or 0.0
    return number is not None and node.input[0] == branch.current


STEPS: dict[str, Callable[[NormBranch, Node], bool]] = {
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Pad": _pad,
    "AveragePool": _average,
    "Mul": _scale,
    "Div": _scale,
    "Add": _shift,
    "Pow": _power,
    "Sqrt": _power,
    "Identity": lambda branch, node: True,
    "Cast": lambda branch, node: True,
}
"""Functions by the node's type that update the branch; False if the node is not of a norm."""
