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
    assert Preprocessing(crop_size=31).input_side == 31
    assert Preprocessing(crop_size=31, input_size=24).input_side == 24


def test_the_steps_in_words() -> None:
    plain = Preprocessing(resize="stretch", resize_size=40, crop_size=40, std=(255, 255, 255))
    assert plain.steps() == (
        "stretch to 40 x 40 (Lanczos)",
        "center crop 40",
        "RGB",
        "values of 0 to 255",
        "minus (0, 0, 0)",
        "divided by (255, 255, 255)",
    )
    full = Preprocessing(
        resize_size=32, padding=4, crop_size=36, input_size=28, channels=1, has_mean_image=True
    )
    assert full.steps() == (
        "shortest edge to 32, center 32 x 32 (Lanczos)",
        "4 pixels of zeros on each side",
        "center crop 36",
        "resize to 28 (bilinear, antialiased)",
        "gray (0.299 R + 0.587 G + 0.114 B)",
        "values of 0 to 255",
        "minus the mean image",
        "divided by (1)",
    )
    assert full.steps(normalized=False) == full.steps()[:-2]
