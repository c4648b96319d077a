"""Which of many parameters the fast tests try."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_fast(values: Iterable[Any], fast: int = 1) -> list[Any]:
    """The first values for the fast tests, the others for the slow ones.

    Args:
        values: of one parameter of `pytest.mark.parametrize`, or tuples of several.
        fast: how many are fast.
    """
    return [value if place < fast else as_slow(value) for place, value in enumerate(values)]


def every_nth_fast(values: Iterable[Any], n: int) -> list[Any]:
    """Every nth value for the fast tests, the others for the slow ones; as `first_fast`."""
    return [value if place % n == 0 else as_slow(value) for place, value in enumerate(values)]


def as_slow(value: Any) -> Any:
    """The value, or the tuple of values, as a parameter of a slow test."""
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.slow)
