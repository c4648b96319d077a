"""The filters of the first layer as tiles."""

from __future__ import annotations

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from alexnet.plots.style import styled


@styled
def filters(weight: Tensor) -> Figure:
    """First-layer filters [out, in, k, k] as tiles, each scaled to its own range.

    In color if `in` is 3, else the mean over `in`.
    """
    tiles = to_numpy(weight)
    low, high = tiles.min((1, 2, 3), keepdims=True), tiles.max((1, 2, 3), keepdims=True)
    tiles = ((tiles - low) / np.maximum(high - low, 1e-12)).transpose(0, 2, 3, 1)
    columns = max(1, round(math.sqrt(len(tiles) * 2)))
    rows = math.ceil(len(tiles) / columns)
    figure = Figure(figsize=(8, 8 * rows / columns))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, tile in zip(grid.flat, tiles, strict=False):
        is_color = tile.shape[2] == 3
        axes.imshow(
            tile if is_color else tile.mean(2),
            cmap=None if is_color else "gray",
            interpolation="nearest",
        )
    for axes in grid.flat:
        axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1, 0.05, 0.05)
    return figure


def to_numpy(tensor: Tensor) -> np.ndarray:
    """The values as float32 on the CPU."""
    return tensor.detach().to("cpu", torch.float32).numpy()
