"""Confusion matrix and the worst pictures, drawn without a display."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from alexnet.evaluation.results import Evaluation
from alexnet.plots import INK, drawn_name


def confusion(evaluation: Evaluation) -> Figure:
    """True by predicted class, as shares of the true class, with counts where there is room."""
    counts = evaluation.confusion
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = min(14.0, 2.5 + 0.42 * len(counts))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(
        xlabel="predicted",
        ylabel="true",
        title=f"{evaluation.accuracy:.1%} of {evaluation.num_images:,} right",
    )
    if len(counts) <= 40:
        ticks, names = range(len(counts)), [drawn_name(name) for name in evaluation.class_names]
        axes.set_xticks(
            ticks,
            names,
            rotation=60,
            ha="right",
            rotation_mode="anchor",
            parse_math=False,
        )
        axes.set_yticks(ticks, names, parse_math=False)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if shares[row, column] > 0.5 else INK
                axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=8)
    return figure


def worst(evaluation: Evaluation, images: np.ndarray) -> Figure:
    """The mistakes of an evaluation, the least believed right class first.

    `images` has one of each: uint8 [N, S, S, 3].
    """
    mistakes = evaluation.top_losses
    columns = min(6, len(mistakes))
    figure = Figure(
        figsize=(2.1 * columns, 2.5 * math.ceil(len(mistakes) / columns)), layout="constrained"
    )
    grid = figure.subplots(math.ceil(len(mistakes) / columns), columns, squeeze=False)
    for axes, mistake, image in zip(grid.flat, mistakes, images, strict=False):
        axes.imshow(image)
        title = f"{drawn_name(mistake.label)}\ntaken for {drawn_name(mistake.predicted)}"
        axes.set_title(title, fontsize=8, parse_math=False)
    for axes in grid.flat:
        axes.axis("off")
    return figure
