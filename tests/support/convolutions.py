"""Convolutions with strides, of images."""

from __future__ import annotations

from typing import Any

STRIDED: dict[str, dict[str, Any]] = {
    "conv1": {"channels": 3, "side": 227, "kernel": 11, "stride": 4},
    "conv1 of torchvision": {"channels": 3, "side": 224, "kernel": 11, "stride": 4, "padding": 2},
    "pixels at the edge are not read": {"channels": 3, "side": 30, "kernel": 5, "stride": 4},
    "no zeros are needed": {"channels": 1, "side": 32, "kernel": 8, "stride": 4},
    "kernels of an odd stride": {"channels": 4, "side": 23, "kernel": 7, "stride": 3, "padding": 1},
}
