"""Learning curves, confusion matrix, filters and contact sheets, drawn without a display."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from alexnet.errors import UsageError
from alexnet.io.files import atomic_write
from alexnet.io.text import printable
from alexnet.records import EpochRecord

INK, BLUE, ORANGE, GREY = "#222222", "#2f6db3", "#d9772b", "#b9b9b9"


LONGEST_NAME = 40
FORMATS = ("png", "jpg", "jpeg", "pdf", "svg")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's ending, whole or not at all.

    Raises:
        UsageError: another ending than those of FORMATS.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise UsageError(f"{path} must end in one of .{', .'.join(FORMATS)}")
    with atomic_write(path) as aside, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a script that no font here has
        figure.savefig(aside, format=kind, dpi=130, facecolor="white", bbox_inches="tight")


def drawn_name(name: str) -> str:
    """A class name as a figure can hold it: on one line, and not longer than LONGEST_NAME."""
    text = printable(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def learning_curves(history: Sequence[EpochRecord]) -> Figure:
    """Loss and error of training and held-out pictures over the epochs."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, error = figure.subplots(1, 2)
    epochs = [r.epoch for r in history]
    marker = "o" if len(history) < 3 else ""
    loss.plot(epochs, [r.train_loss for r in history], color=BLUE, marker=marker, label="training")
    error.plot(
        epochs,
        [r.train_top1_error for r in history],
        color=BLUE,
        marker=marker,
        label="training, augmented",
    )
    held = history[0].eval_split if history else ""
    if held:
        name = {"val": "validation", "test": "test"}[held]
        loss.plot(epochs, [r.eval_loss for r in history], color=ORANGE, marker=marker, label=name)
        error.plot(
            epochs,
            [r.eval_top1_error for r in history],
            color=ORANGE,
            marker=marker,
            label=name,
        )
    loss.set(xlabel="epoch", ylabel="loss")
    error.set(xlabel="epoch", ylabel="top-1 error", ylim=(0, 1))
    error.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in (loss, error):
        axes.grid(color="#e6e6e6")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    return figure


def filters(weight: Tensor) -> Figure:
    """First-layer weights [out, in, k, k] as tiles, each scaled to its own range.

    In colour where `in` is 3.
    """
    tiles = to_numpy(weight)
    low, high = tiles.min((1, 2, 3), keepdims=True), tiles.max((1, 2, 3), keepdims=True)
    tiles = ((tiles - low) / np.maximum(high - low, 1e-12)).transpose(0, 2, 3, 1)
    columns = max(1, round(math.sqrt(len(tiles) * 2)))
    figure = Figure(figsize=(8, 8 * math.ceil(len(tiles) / columns) / columns))
    grid = figure.subplots(math.ceil(len(tiles) / columns), columns, squeeze=False)
    for axes, tile in zip(grid.flat, tiles, strict=False):
        is_colour = tile.shape[2] == 3
        axes.imshow(
            tile if is_colour else tile.mean(2),
            cmap=None if is_colour else "gray",
            interpolation="nearest",
        )
    for axes in grid.flat:
        axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1, 0.05, 0.05)
    return figure


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], columns: Sequence[str] = ()
) -> Figure:
    """Rows of pictures, a title at the left of each; named columns have a head."""
    width, names = max(len(row) for row in rows), [drawn_name(title) for title in titles]
    margin = max(1.6, 0.5 + 0.1 * max(map(len, names)))  # inches, for the longest name
    figure = Figure(figsize=(margin + 1.35 * width, 1.4 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), width, squeeze=False)
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        for j, picture in enumerate(row):
            grid[i][j].imshow(picture)
        grid[i][0].set_ylabel(
            name, rotation=0, ha="right", va="center", fontsize=9, parse_math=False
        )
    for j, head in enumerate(columns):
        grid[0][j].set_title(head, fontsize=9)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure


def to_numpy(tensor: Tensor) -> np.ndarray:
    """The values on the processor."""
    return tensor.detach().to("cpu", torch.float32).numpy()
