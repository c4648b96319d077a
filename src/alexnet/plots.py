"""Plots that several parts of the package share, and how a figure is saved; needs no display."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from alexnet.errors import UsageError
from alexnet.io.files import atomic_write
from alexnet.io.text import printable
from alexnet.records import EpochRecord

INK, BLUE, ORANGE, GRAY = "#222222", "#2f6db3", "#d9772b", "#b9b9b9"

MAX_LABEL_LENGTH = 40
FIGURE_FORMATS = ("png", "jpg", "jpeg", "pdf", "svg")
SPLIT_LABELS = {"val": "validation", "test": "test"}


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix, whole or not at all.

    Raises:
        UsageError: the suffix is not one of FIGURE_FORMATS.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in FIGURE_FORMATS:
        raise UsageError(f"{path} must end in one of .{', .'.join(FIGURE_FORMATS)}")
    with atomic_write(path) as temp, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # no installed font has the script
        figure.savefig(temp, format=suffix, dpi=130, facecolor="white", bbox_inches="tight")


SavePlot: TypeAlias = Callable[[Callable[[], Figure], Path], None]
"""Draws a figure by calling the first argument, and writes it to the path."""


def save_plot(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it (`save`)."""
    save(draw(), path)


def short_label(name: str) -> str:
    """A class name for a figure: on one line, at most MAX_LABEL_LENGTH characters."""
    text = printable(name)
    return text if len(text) <= MAX_LABEL_LENGTH else f"{text[: MAX_LABEL_LENGTH - 1]}…"


def learning_curves(history: Sequence[EpochRecord]) -> Figure:
    """Loss and top-1 error over the epochs, for training and for the evaluated split."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, error = figure.subplots(1, 2)
    _plot_epochs(loss, [r.train_loss for r in history], BLUE, "training")
    _plot_epochs(error, [r.train_top1_error for r in history], BLUE, "training, augmented")
    split = history[0].eval_split if history else None
    if split:
        label = SPLIT_LABELS[split]
        _plot_epochs(loss, [r.eval_loss for r in history], ORANGE, label)
        _plot_epochs(error, [r.eval_top1_error for r in history], ORANGE, label)
    loss.set(xlabel="epoch", ylabel="loss")
    error.set(xlabel="epoch", ylabel="top-1 error", ylim=(0, 1))
    error.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in (loss, error):
        axes.grid(color="#e6e6e6")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    return figure


def _plot_epochs(axes: Axes, values: Sequence[float | None], color: str, label: str) -> None:
    """One value for each epoch; None leaves a gap."""
    marker = "o" if len(values) < 3 else ""
    heights = [math.nan if value is None else value for value in values]
    axes.plot(range(1, len(values) + 1), heights, color=color, marker=marker, label=label)


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


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    row_titles: Sequence[str],
    column_titles: Sequence[str] = (),
) -> Figure:
    """Rows of images.

    Args:
        rows: each a row of images [h, w, 3] or [h, w].
        row_titles: one to the left of each row.
        column_titles: one above each column; none unless given.
    """
    width, names = max(len(row) for row in rows), [short_label(title) for title in row_titles]
    margin = max(1.6, 0.5 + 0.1 * max(map(len, names)))  # inches, for the longest name
    figure = Figure(figsize=(margin + 1.35 * width, 1.4 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), width, squeeze=False)
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        for j, image in enumerate(row):
            grid[i][j].imshow(image)
        grid[i][0].set_ylabel(
            name, rotation=0, ha="right", va="center", fontsize=9, parse_math=False
        )
    for j, title in enumerate(column_titles):
        grid[0][j].set_title(title, fontsize=9)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure


def to_numpy(tensor: Tensor) -> np.ndarray:
    """The values as float32 on the CPU."""
    return tensor.detach().to("cpu", torch.float32).numpy()
