"""Compute the values of an ONNX graph that do not depend on the images.

Exporters apply Transpose and Cast nodes to weights, and compute shapes and padding from
constants. Only the operations of `FOLDED_OPS` are computed, and only up to a size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

MAX_COMPUTED_VALUES = 1 << 28
"""The most values that all constant nodes together may compute (fc6 of the paper has 38
million)."""
MAX_SHAPE_VALUES = 1 << 12
"""The most values in an operand of SHAPE_OPS."""
MAX_OPERANDS = 64
Attributes: TypeAlias = dict[str, Any]
Operands: TypeAlias = Sequence[np.ndarray]
"""Values of a node's inputs; an array without values stands for an input that is left out."""
MISSING = np.zeros(0, np.int64)


class TooLargeError(ValueError):
    """The error for a constant that would take too much memory."""


def to_float32(array: np.ndarray) -> np.ndarray:
    """Convert floating-point numbers of any width to float32; leave other values as they are."""
    is_float = "float" in array.dtype.name and array.dtype != np.float32
    return array.astype(np.float32) if is_float else array


def tensor_array(tensor: Any) -> np.ndarray:
    """The values of a TensorProto; floating-point numbers as float32."""
    from onnx import numpy_helper

    return to_float32(np.asarray(numpy_helper.to_array(tensor)))


def fold(op_type: str, attributes: Attributes, operands: Operands) -> np.ndarray:
    """The output of a node whose inputs are constants.

    Raises:
        TooLargeError: the output would have too many values.
        KeyError: the operation is not in `FOLDED_OPS`.
    """
    if op_type in SHAPE_OPS:
        _check_small(op_type, operands)
    return to_float32(np.asarray(FOLDED_OPS[op_type](attributes, operands)))


def _check_small(op_type: str, operands: Operands) -> None:
    largest = max((array.size for array in operands), default=0)
    if largest > MAX_SHAPE_VALUES or len(operands) > MAX_OPERANDS:
        raise TooLargeError(
            f"computes {op_type} of {len(operands)} constants of up to {largest:,} values; "
            f"at most {MAX_OPERANDS} of {MAX_SHAPE_VALUES:,} are computed"
        )


def axes_of(attributes: Attributes, operands: Operands, index: int = 1) -> list[int]:
    """The axes of a node: an attribute in older opsets, an input in newer ones."""
    if "axes" in attributes:
        return list(attributes["axes"])
    return operands[index].ravel().tolist() if len(operands) > index else []


def resolve_shape(target: Sequence[int], shape: Sequence[int], *, allow_zero: bool) -> list[int]:
    """A Reshape's target with its 0 (as in the input) and its -1 (the rest) filled in."""
    sizes = [shape[i] if n == 0 and not allow_zero else n for i, n in enumerate(target)]
    if -1 in sizes:
        known = prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = prod(shape) // known if known else 0
    return [int(n) for n in sizes]


def _constant(attributes: Attributes, operands: Operands) -> np.ndarray:
    if "value" in attributes:
        return tensor_array(attributes["value"])
    value = next(iter(attributes.values()))
    dtype = np.float32 if np.asarray(value).dtype.kind == "f" else None
    return np.asarray(value, dtype)


def _constant_of_shape(attributes: Attributes, operands: Operands) -> np.ndarray:
    shape = operands[0].ravel().tolist()
    if prod(shape) > MAX_COMPUTED_VALUES or min(shape, default=1) < 0:
        raise TooLargeError(
            f"makes an array of shape {shape}; at most {MAX_COMPUTED_VALUES:,} values are allowed"
        )
    value = attributes.get("value")
    fill = np.float32(0) if value is None else tensor_array(value).ravel()[0]
    return np.broadcast_to(fill, shape)


def _reshape(attributes: Attributes, operands: Operands) -> np.ndarray:
    data, target = operands
    allow_zero = bool(attributes.get("allowzero"))
    return data.reshape(resolve_shape(target.tolist(), data.shape, allow_zero=allow_zero))


def _squeeze(attributes: Attributes, operands: Operands) -> np.ndarray:
    axes = axes_of(attributes, operands)
    return np.squeeze(operands[0], tuple(axes) if axes else None)


def _unsqueeze(attributes: Attributes, operands: Operands) -> np.ndarray:
    return np.expand_dims(operands[0], tuple(axes_of(attributes, operands)))


def _slice(attributes: Attributes, operands: Operands) -> np.ndarray:
    data, *rest = operands
    rest = rest or [np.asarray(attributes[name]) for name in ("starts", "ends")]
    starts, ends = rest[0].ravel().tolist(), rest[1].ravel().tolist()
    axes = axes_of(attributes, rest, 2) or list(range(len(starts)))
    steps = rest[3].ravel().tolist() if len(rest) > 3 and rest[3].size else [1] * len(starts)
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        before_first = step < 0 and end < -data.shape[axis]
        index[axis] = slice(start, None if before_first else end, step)
    return data[tuple(index)]


def _cast(attributes: Attributes, operands: Operands) -> np.ndarray:
    from onnx.helper import tensor_dtype_to_np_dtype

    return operands[0].astype(tensor_dtype_to_np_dtype(attributes["to"]))


def _gather(attributes: Attributes, operands: Operands) -> np.ndarray:
    return np.take(operands[0], operands[1], attributes.get("axis", 0))


def _concat(attributes: Attributes, operands: Operands) -> np.ndarray:
    return np.concatenate(operands, attributes.get("axis", 1))


def _divide(attributes: Attributes, operands: Operands) -> np.ndarray:
    a, b = operands
    return a // b if a.dtype.kind in "iu" else a / b


def _elementwise(function: Callable[..., Any]) -> Callable[[Attributes, Operands], np.ndarray]:
    return lambda attributes, operands: np.asarray(function(*operands))


SHAPE_OPS: dict[str, Callable[[Attributes, Operands], np.ndarray]] = {
    "Slice": _slice,
    "Gather": _gather,
    "Concat": _concat,
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _divide,
    "Neg": _elementwise(np.negative),
    "Sqrt": _elementwise(np.sqrt),
    "Reciprocal": _elementwise(np.reciprocal),
    "Equal": _elementwise(np.equal),
    "Not": _elementwise(np.logical_not),
    "ReduceProd": _elementwise(lambda data, *axes: np.prod(data)),
}
"""Operations on shapes and scalars, whose outputs may be larger than their inputs."""
FOLDED_OPS: dict[str, Callable[[Attributes, Operands], np.ndarray]] = {
    **SHAPE_OPS,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": lambda attributes, operands: operands[0],
    "Cast": _cast,
    "Transpose": lambda attributes, operands: operands[0].transpose(attributes.get("perm")),
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
