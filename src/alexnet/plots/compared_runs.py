"""Learning curves of several runs in one figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from alexnet.plots.curves import SPLIT_LABELS
from alexnet.plots.labels import short_label
from alexnet.plots.style import (
    COLORS,
    add_note,
    count_epochs,
    new_figure,
    show_percent,
    styled,
)
from alexnet.records import EpochRecord

LINE_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)))
"""Line styles, the next of which is used when every color has been."""


@styled
def compared_curves(histories: Mapping[str, Sequence[EpochRecord]], title: str = "") -> Figure:
    """Plot the error of the evaluated split and the training loss over the epochs of several runs.

    Args:
        histories: the epochs of each run, by its name.
        title: the title of the figure.
    """
    rows = math.ceil(len(histories) / 2)
    figure = new_figure(5.0 + 0.2 * rows, title)
    error, loss = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for index, (name, history) in enumerate(histories.items()):
        style = {
            "color": COLORS[index % len(COLORS)],
            "linestyle": LINE_STYLES[index // len(COLORS) % len(LINE_STYLES)],
            "marker": "o" if len(history) < 3 else "",
            "markersize": 4,
        }
        epochs = [record.epoch for record in history]
        errors = [_number(record.eval_top1_error) for record in history]
        error.plot(epochs, errors, label=_label(name, history), **style)
        if chosen := _chosen(history):
            error.plot(
                [chosen.epoch], [chosen.eval_top1_error], "o", color=style["color"], markersize=5
            )
        loss.plot(epochs, [record.train_loss for record in history], **style)
    error.set(ylabel="top-1 error", ylim=(0, 1))
    loss.set(xlabel="epoch", ylabel="training loss")
    show_percent(error.yaxis)
    count_epochs(loss.xaxis)
    error.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    figure.align_ylabels()
    add_note(figure, "The training losses are comparable if the recipes have the same loss.")
    return figure


def _label(name: str, history: Sequence[EpochRecord]) -> str:
    """The run's name, the split on which its errors are measured, and its best or last error."""
    chosen = _chosen(history)
    if not chosen:
        return f"{short_label(name)}: no errors"
    which = "best" if chosen.eval_split == "val" else "last"
    error = _number(chosen.eval_top1_error)
    return f"{short_label(name)}: {SPLIT_LABELS[str(chosen.eval_split)]}, {which} {error:.1%}"


def _chosen(history: Sequence[EpochRecord]) -> EpochRecord | None:
    """The epoch with the lowest validation error, else the last one; None without errors."""
    measured = [record for record in history if record.eval_top1_error is not None]
    if measured and measured[-1].eval_split == "val":
        return min(measured, key=lambda record: _number(record.eval_top1_error))
    return measured[-1] if measured else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value
