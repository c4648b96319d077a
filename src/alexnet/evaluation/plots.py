"""Plots of an evaluation: confusion matrix and top losses."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from alexnet.evaluation.results import Evaluation
from alexnet.plots import INK, short_label

MAX_NAMED_CLASSES = 40
"""Up to which a confusion matrix has class names and counts."""


def confusion(evaluation: Evaluation) -> Figure:
    """Labels by predictions, as fractions of the label; with counts if there is room."""
    counts = evaluation.confusion
    fractions = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = min(14.0, 2.5 + 0.42 * len(counts))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    axes.set(
        xlabel="predicted",
        ylabel="label",
        title=f"accuracy {evaluation.accuracy:.1%} on {evaluation.num_images:,} images",
    )
    if len(counts) <= MAX_NAMED_CLASSES:
        ticks, names = range(len(counts)), [short_label(name) for name in evaluation.class_names]
        axes.set_xticks(
            ticks, names, rotation=60, ha="right", rotation_mode="anchor", parse_math=False
        )
        axes.set_yticks(ticks, names, parse_math=False)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if fractions[row, column] > 0.5 else INK
                axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=8)
    return figure


def top_losses(evaluation: Evaluation) -> Figure:
    """The top losses as images, with label and prediction."""
    losses = evaluation.top_losses
    columns = min(6, len(losses))
    rows = math.ceil(len(losses) / columns)
    figure = Figure(figsize=(2.1 * columns, 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, loss in zip(grid.flat, losses, strict=False):
        axes.imshow(loss.image)
        title = f"{short_label(loss.label)}\npredicted as {short_label(loss.predicted)}"
        axes.set_title(title, fontsize=8, parse_math=False)
    for axes in grid.flat:
        axes.axis("off")
    return figure
