"""Convert the nodes of an ONNX graph to layers.

ONNX's LRN divides alpha by its size; ours multiplies each squared term by alpha, so ours is ONNX's
divided by the size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from alexnet.interop.match import BATCH_NORM
from alexnet.interop.onnx.chain import NAME, NO_PADS, Chain, Node, Pads
from alexnet.interop.onnx.constants import Attributes
from alexnet.interop.onnx.norms import pad_widths
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Pool,
    ResponseNorm,
    output_size,
)

NodeParser: TypeAlias = Callable[[Chain, Node, Attributes], None]


def _window_pads(
    chain: Chain, node: Node, attributes: Attributes, kernel: int, stride: int
) -> Pads:
    """The padding of a node's windows: its own or automatic one, plus that of a Pad before it."""
    if any(d != 1 for d in attributes.get("dilations", ())):
        chain.fail(node, "has dilation, which is not supported")
    top, left, bottom, right = (int(n) for n in attributes.get("pads", NO_PADS))
    automatic = attributes.get("auto_pad", b"NOTSET").decode()
    if automatic.startswith("SAME"):
        (top, bottom), (left, right) = (
            _same_pads(n + sum(chain.pads[i::2]), kernel, stride, automatic)
            for i, n in enumerate(chain.shape[1:])
        )
    own = (top, left, bottom, right)
    top, left, bottom, right = (a + b for a, b in zip(own, chain.pads, strict=True))
    chain.pads = NO_PADS
    return top, left, bottom, right


def _same_pads(length: int, kernel: int, stride: int, automatic: str) -> tuple[int, int]:
    """Zeros before and after for ceil(length / stride) windows: SAME_UPPER, SAME_LOWER."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    less, more = total // 2, total - total // 2
    return (less, more) if automatic == "SAME_UPPER" else (more, less)


def _pad(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Read zeros around the image, which become a part of the next layer."""
    shape = chain.full_shape
    widths, is_zero = pad_widths(chain, node, attributes, len(shape))
    start, end = widths[: len(shape)], widths[len(shape) :]
    if not any(widths):
        return
    rows = 1 if chain.is_channels_last else 2
    sides = range(rows, rows + 2)
    is_spatial = len(shape) == 4 and not any(
        start[axis] or end[axis] for axis in range(4) if axis not in sides
    )
    if not is_spatial or not is_zero or min(widths) < 0:
        chain.fail(node, "pads with something else than zeros around an image")
    top, left, bottom, right = *start[rows : rows + 2], *end[rows : rows + 2]
    chain.pads = (top, left, bottom, right)


def _conv(chain: Chain, node: Node, attributes: Attributes) -> None:
    chain.need_channels_first(node)
    weight = chain.constant(node, 1)
    strides = attributes.get("strides", (1, 1))
    if weight.ndim != 4 or weight.shape[2] != weight.shape[3] or len(set(strides)) > 1:
        chain.fail(node, "is not a convolution with square kernels and equal strides")
    kernel, stride = weight.shape[2], int(strides[0])
    top, left, bottom, right = _window_pads(chain, node, attributes, kernel, stride)
    if (top, bottom) != (left, right) or bottom < top:
        chain.fail(node, f"has padding {[top, left, bottom, right]}, which is not supported")
    layer = Conv(
        NAME,
        channels=weight.shape[0],
        kernel=kernel,
        stride=stride,
        padding=top,
        extra_padding=bottom - top,
        groups=int(attributes.get("group", 1)),
    )
    has_bias = len(node.input) > 2 and node.input[2]
    bias = {"bias": chain.constant(node, 2).reshape(-1)} if has_bias else {}
    chain.add(node, layer, weight=weight, **bias)


def _gemm(chain: Chain, node: Node, attributes: Attributes) -> None:
    if attributes.get("transA", 0):
        chain.fail(node, "has transA, which is not supported")
    weight = chain.constant(node, 1) * np.float32(attributes.get("alpha", 1.0))
    _fully_connected(chain, node, weight if attributes.get("transB", 0) else weight.T)
    if len(node.input) > 2 and node.input[2]:
        bias = chain.constant(node, 2)
        if bias.size not in (1, *chain.shape):
            chain.fail(node, f"has a bias of shape {list(bias.shape)}, not [{chain.shape[0]}]")
        factor = np.float32(attributes.get("beta", 1.0))
        chain.layers[-1].weights["bias"] = np.broadcast_to(bias.reshape(-1) * factor, chain.shape)


def _matmul(chain: Chain, node: Node, attributes: Attributes) -> None:
    if node.input[0] != chain.current:
        chain.fail(node, "multiplies a constant by the images instead of the images by a constant")
    _fully_connected(chain, node, chain.constant(node, 1).T)


def _fully_connected(chain: Chain, node: Node, weight: np.ndarray) -> None:
    if weight.ndim != 2:
        chain.fail(node, f"multiplies by an array of {weight.ndim} dimensions instead of 2")
    chain.add(node, FullyConnected(NAME, weight.shape[0]), weight=weight)


def _activation(chain: Chain, node: Node, attributes: Attributes) -> None:
    if node.op_type == "Sigmoid" and chain.shape == (1,):  # see `as_two_classes`
        _leave_out(chain, node)
        return
    functions = {"Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}
    function = functions[node.op_type]
    chain.add(node, Activation(NAME, function))  # type: ignore[arg-type]


def _clip(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Read a Clip as a ReLU, if it only clips at 0."""
    low, high = (
        _limit(chain, node, attributes, name, index) for index, name in enumerate(("min", "max"), 1)
    )
    if low == 0 and high in (None, np.inf):
        chain.add(node, Activation(NAME, "relu"))
        return
    name = "ReLU6" if (low, high) == (0, 6) else f"a clipping to {low} to {high}"
    chain.fail(node, f"is {name}, which no architecture here has")


def _limit(chain: Chain, node: Node, attributes: Attributes, name: str, index: int) -> float | None:
    if len(node.input) > index and node.input[index]:
        return float(chain.constant(node, index).item())
    return float(attributes[name]) if name in attributes else None


def _lrn(chain: Chain, node: Node, attributes: Attributes) -> None:
    chain.need_channels_first(node)
    size = int(attributes["size"])
    layer = ResponseNorm(
        NAME,
        size=size,
        alpha=float(attributes.get("alpha", 1e-4)) / size,
        beta=float(attributes.get("beta", 0.75)),
        k=float(attributes.get("bias", 1.0)),
        groups=chain.groups,
    )
    chain.add(node, layer)


def _pool(chain: Chain, node: Node, attributes: Attributes) -> None:
    chain.need_channels_first(node)
    sizes, strides = attributes["kernel_shape"], attributes.get("strides", (1, 1))
    if len({*sizes}) > 1 or len({*strides}) > 1:
        chain.fail(node, "is not a pool with a square window and equal strides")
    size, stride = int(sizes[0]), int(strides[0])
    is_max = node.op_type == "MaxPool"
    if is_max and any(chain.pads) and not _is_never_negative(chain):
        chain.fail(node, "takes the maximum of padding and numbers that may be below 0")
    pads = _window_pads(chain, node, attributes, size, stride)
    if size == stride == 1 and not any(pads):
        return
    is_ceil = bool(attributes.get("ceil_mode"))
    ceil = _equivalent_ceil(chain.shape[1], size, stride, pads, is_max=is_max, is_ceil=is_ceil)
    if ceil is None:
        chain.fail(node, f"has padding {list(pads)}, which is not supported")
    reduce = "max" if is_max else "average"
    chain.add(node, Pool(NAME, size, stride, ceil, reduce))  # type: ignore[arg-type]


def _is_never_negative(chain: Chain) -> bool:
    layer = chain.layers[-1].layer if chain.layers else None
    return isinstance(layer, Activation) and layer.function in ("relu", "sigmoid")


def _equivalent_ceil(
    length: int, size: int, stride: int, pads: Sequence[int], *, is_max: bool, is_ceil: bool
) -> bool | None:
    """The `ceil` of a pool without padding that has the same windows; None if neither value has.

    Caffe's nets are converted with padding at the right and bottom instead of `ceil`. A maximum
    ignores the padding, an average does not.
    """
    top, left, bottom, right = pads
    if top or left or bottom != right or (bottom and not is_max):
        return None
    count = output_size(length + bottom, size, stride, 0, is_ceil)
    choices = (c for c in (False, True) if output_size(length, size, stride, 0, c) == count)
    return next(choices, None)


def _global_pool(chain: Chain, node: Node, attributes: Attributes) -> None:
    chain.need_channels_first(node)
    reduce = "max" if node.op_type == "GlobalMaxPool" else "average"
    chain.add(node, AdaptivePool(NAME, 1, reduce))  # type: ignore[arg-type]


def _batch_norm(chain: Chain, node: Node, attributes: Attributes) -> None:
    if len(chain.shape) == 3:
        chain.need_channels_first(node)
    if attributes.get("spatial", 1) != 1:
        chain.fail(node, "normalizes each pixel for itself (spatial 0), which is not supported")
    if attributes.get("training_mode") or len(node.output) > 1:
        chain.note("the file is in training mode; its batch norms' running statistics are used")
    arrays = (chain.constant(node, index) for index in range(1, 5))
    layer = BatchNorm(NAME, float(attributes.get("epsilon", 1e-5)))
    chain.add(node, layer, **dict(zip(BATCH_NORM, arrays, strict=True)))


def _dropout(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Read a Dropout, which does nothing in inference."""
    is_active = len(node.input) > 2 and node.input[2] and bool(chain.constant(node, 2))
    if is_active:
        chain.note("the file is in training mode; its dropout is left out")
    chain.add(node, Dropout(NAME))


def _identity(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Skip an Identity."""


def _cast(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Skip a Cast between floating-point types, since everything is computed in float32 here."""
    from onnx import TensorProto

    if attributes["to"] != TensorProto.FLOAT:
        name = TensorProto.DataType.Name(attributes["to"])
        chain.fail(node, f"converts to {name}, which is no floating-point type")


def _softmax(chain: Chain, node: Node, attributes: Attributes) -> None:
    """Leave out a final softmax, since models here give logits."""
    if attributes.get("axis", -1) not in (1, -1) or len(chain.shape) != 1:
        chain.fail(node, "is not over the classes")
    _leave_out(chain, node)


def _leave_out(chain: Chain, node: Node) -> None:
    """Leave out a function of the logits, after which no layer may follow."""
    chain.logits = chain.current
    chain.note(f"the file's final {node.op_type} is left out: models here give logits")


PARSERS: dict[str, NodeParser] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Relu": _activation,
    "Tanh": _activation,
    "Sigmoid": _activation,
    "Clip": _clip,
    "LRN": _lrn,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "BatchNormalization": _batch_norm,
    "Pad": _pad,
    "Dropout": _dropout,
    "Identity": _identity,
    "Cast": _cast,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
"""Functions that read a node, by its type."""
