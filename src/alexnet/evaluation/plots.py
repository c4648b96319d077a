"""Plots of an evaluation: confusion matrix and top losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet import plots
from alexnet.evaluation.results import Evaluation, TopLoss
from alexnet.evaluation.shown_classes import choose_classes

MAX_SHARES = 10
"""Classes up to which a confusion matrix has percentages under its counts."""
COLUMNS = 4
"""Images side by side on the sheet of top losses."""
CAPTION_WIDTH = 28
"""Letters on a line above an image."""
INCHES_PER_LETTER = 0.075
"""Width of a tick label's letters."""


def _shades(start: str, color: str) -> Colormap:
    """A color map from a light color to a strong one."""
    return LinearSegmentedColormap.from_list("", [start, color])


CORRECT, ERRORS = _shades("#dfebf4", plots.BLUE), _shades("#fae6d8", plots.ORANGE)
EMPTY = ListedColormap(["#f6f6f6"])


@plots.styled
def confusion(evaluation: Evaluation, title: str = "") -> Figure:
    """Labels by predictions: counts, colored by their share of the label's images.

    The errors have a color scale of their own, up to the largest share. With more than
    MAX_NAMED_CLASSES classes those are shown that are confused most with each other.
    """
    shown, which = choose_classes(evaluation.confusion)
    counts, totals = evaluation.confusion[np.ix_(shown, shown)], evaluation.confusion.sum(1)[shown]
    shares = counts / np.maximum(totals, 1)[:, None]
    labels = plots.class_labels(evaluation.class_names)
    names = [labels[i] for i in shown]
    figure, axes, bars = _square(names, title)
    _color_cells(axes, bars, shares)
    _write_counts(axes, counts, shares)
    ticks = np.arange(len(shown)) + 0.5
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [f"{name} ({n:,})" for name, n in zip(names, totals, strict=True)])
    axes.set(xlabel="predicted", ylabel="label (images)")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set_title("\n".join(filter(None, (accuracy_text(evaluation), which))))
    plots.add_note(figure, plots.font_note(evaluation.class_names))
    return figure


def accuracy_text(evaluation: Evaluation) -> str:
    """The accuracy, and the numbers of right predictions and of images, in words."""
    right = round(evaluation.accuracy * evaluation.num_images)
    accuracy = plots.percent(evaluation.accuracy, 1)
    return f"accuracy {accuracy}: {right:,} of {evaluation.num_images:,} images"


def _square(names: list[str], title: str) -> tuple[Figure, Axes, list[Axes]]:
    """A figure with room for the names: axes for the matrix, and two for its color scales."""
    side = len(names) * min(0.5, max(0.23, 4.6 / len(names)))
    label = max(map(plots.text_width, names)) * INCHES_PER_LETTER
    width = max(side + label + 2.2, plots.WIDTH * 0.75)
    figure = plots.new_figure(max(side, 1.8) + 0.7 * label + 1.4, title, width)
    figure.set_layout_engine("compressed")
    ratios = (width - label - 1.6, 0.12)
    panels = figure.subplot_mosaic([["matrix", "right"], ["matrix", "wrong"]], width_ratios=ratios)
    return figure, panels["matrix"], [panels["right"], panels["wrong"]]


def _color_cells(axes: Axes, bars: list[Axes], shares: np.ndarray) -> None:
    """Color the diagonal and the other cells, each on its own scale; empty cells are gray."""
    axes.pcolormesh(np.zeros_like(shares), cmap=EMPTY, edgecolors="white", linewidth=0.5)
    is_right = np.eye(len(shares), dtype=bool)
    most_errors = max(float(shares[~is_right].max(initial=0)), 0.01)
    parts = (
        ("correct", is_right, CORRECT, Normalize(0, 1)),
        ("errors", ~is_right, ERRORS, Normalize(0, most_errors)),
    )
    for bar, (label, cells, colors, norm) in zip(bars, parts, strict=True):
        values = np.ma.masked_where(~cells | (shares == 0), shares)
        if values.count() == 0:
            bar.axis("off")
            continue
        axes.pcolormesh(values, cmap=colors, norm=norm, edgecolors="white", linewidth=0.5)
        Colorbar(bar, ScalarMappable(norm, colors), label=label, ticks=MaxNLocator(5))
        plots.show_percent(bar.yaxis)
    axes.set(aspect="equal", xlim=(0, len(shares)), ylim=(len(shares), 0))


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    """Write the count into every cell that has one; for few classes also its share of the row."""
    highest = max(float((shares - np.diag(np.diag(shares))).max()), 0.01)
    for (row, column), count in np.ndenumerate(counts):
        if not count:
            continue
        depth = shares[row, column] / (1 if row == column else highest)
        text = f"{count:,}"
        if len(counts) <= MAX_SHARES:
            text += f"\n{plots.percent(float(shares[row, column]))}"
        axes.text(
            column + 0.5,
            row + 0.5,
            text,
            ha="center",
            va="center",
            color="white" if depth > 0.6 else plots.INK,
            fontsize=plots.SMALL if len(counts) <= MAX_SHARES else 6.5,
        )


@plots.styled
def top_losses(evaluation: Evaluation, title: str = "") -> Figure:
    """The images of the highest losses: name, label and prediction, with their probabilities.

    Right predictions are marked, and have captions in the color of the correct ones.
    """
    losses = [loss for loss in evaluation.top_losses if loss.image is not None]
    captions = [_caption(loss, evaluation.class_names) for loss in losses]
    num_lines = 1 + max(caption.count("\n") for caption in captions)
    rows = math.ceil(len(losses) / COLUMNS)
    figure = plots.new_figure((1.85 + 0.14 * num_lines) * rows + 0.4, title)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes, loss, caption in zip(grid.flat, losses, captions, strict=False):
        axes.imshow(np.asarray(loss.image))
        color = plots.BLUE if loss.is_correct else plots.INK
        axes.set_title(caption, fontsize=plots.SMALL, color=color)
    for axes in grid.flat:
        axes.axis("off")
    return figure


def _caption(loss: TopLoss, class_names: Sequence[str]) -> str:
    """The caption of an image: its name, its label and the predicted class."""
    lines = [plots.wrapped_label(plots.drawable(loss.name, f"image {loss.index}"), CAPTION_WIDTH)]
    prediction = "predicted (correct)" if loss.is_correct else "predicted"
    for what, name, probability in (
        ("label", loss.label, loss.probability),
        (prediction, loss.predicted, loss.predicted_probability),
    ):
        shown = plots.drawable(name, f"class {class_names.index(name)}")
        lines.append(
            plots.wrapped_label(f"{what}: {shown}, {plots.percent(probability)}", CAPTION_WIDTH)
        )
    return "\n".join(lines)
