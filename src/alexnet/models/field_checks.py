"""Checks of the fields of a layer; the errors name the layer, the field, and what it can be."""

from __future__ import annotations

import sys
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from alexnet.errors import ArchitectureError, require
from alexnet.io.limits import MAX_LAYER_INTEGER

NUMPY_BOOL = ("numpy", "bool")
"""Module and name of NumPy's boolean type, which was called bool_ before numpy 2."""


def check_integers(layer: str, minimum: int = 1, **values: object) -> None:
    """Raise ArchitectureError unless the values are whole numbers of at least `minimum`."""
    for name, value in values.items():
        require(
            is_integer(value) and minimum <= value <= MAX_LAYER_INTEGER,  # type: ignore[operator]
            f"{layer}: {name} {value!r} must be from {minimum} to {MAX_LAYER_INTEGER}",
            ArchitectureError,
        )


def check_floats(layer: str, maximum: float = sys.float_info.max, **values: object) -> None:
    """Raise ArchitectureError unless the values are numbers from 0 to `maximum`."""
    for name, value in values.items():
        require(
            is_number(value) and 0 <= value <= maximum,  # type: ignore[operator]
            f"{layer}: {name} {value!r} must be from 0 to {maximum:.6g}",
            ArchitectureError,
        )


def check_choice(layer: str, known: tuple[object, ...], **values: object) -> None:
    """Raise ArchitectureError unless the values are among the known ones."""
    for name, value in values.items():
        message = f"{layer}: {name} {value!r} must be one of {', '.join(map(str, known))}"
        require(value in known, message, ArchitectureError)


def plain_number(value: Any) -> Any:
    """The value; a NumPy number or boolean becomes the Python type, which JSON can hold."""
    if type(value) in (bool, int, float):
        return value
    if is_integer(value):
        return int(value)
    if is_number(value):
        return float(value)
    kind = type(value)
    return bool(value) if (kind.__module__, kind.__name__.rstrip("_")) == NUMPY_BOOL else value


def make_numbers_plain(options: object) -> None:
    """Replace the numbers of numpy in a frozen dataclass by those of Python."""
    for field in fields(options):  # type: ignore[arg-type]
        value = getattr(options, field.name)
        if (plain := plain_number(value)) is not value:
            object.__setattr__(options, field.name, plain)


def is_integer(value: object) -> bool:
    """Whether a value is an integer of Python or NumPy, and not True or False."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a number, of Python or numpy; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)
