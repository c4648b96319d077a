"""Preprocessing that is rejected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ConfigError


@pytest.mark.parametrize(
    "change",
    [{"resize_size": 10**9}, {"resize_size": 0}, {"padding": 10**6}, {"input_size": -1},
     {"mean": (float("nan"),) * 3}, {"std": (float("inf"), 1, 1)}],
    ids=str,
)  # fmt: skip
def test_numbers_out_of_range(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(Preprocessing(), **change)


def test_the_input_is_as_large_as_the_crop_unless_given() -> None:
    assert Preprocessing(crop_size=31).side == 31
    assert Preprocessing(crop_size=31, input_size=24).side == 24
