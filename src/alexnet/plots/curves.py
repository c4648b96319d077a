"""Learning curves of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.plots.style import (
    BLUE,
    GRAY,
    INK,
    ORANGE,
    SMALL,
    add_note,
    count_epochs,
    new_figure,
    show_percent,
    styled,
)
from alexnet.records import EpochRecord

SPLIT_LABELS = {"val": "validation", "test": "test"}


@styled
def learning_curves(
    history: Sequence[EpochRecord], title: str = "", handicaps: Sequence[str] = ()
) -> Figure:
    """Loss, top-1 error and learning rate over the epochs.

    Args:
        history: the epochs of a run.
        title: of the figure.
        handicaps: what makes training images harder than those of the evaluated split, such as
            "dropout"; told where the training loss lies above the other.
    """
    figure = new_figure(5.6, title)
    loss, error, lr = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1))
    _plot_epochs(loss, [r.train_loss for r in history], BLUE, "training")
    _plot_epochs(error, [r.train_top1_error for r in history], BLUE, "training")
    _plot_epochs(lr, [r.lr for r in history], INK, "learning rate")
    split = history[0].eval_split if history else None
    if split:
        label = SPLIT_LABELS[split]
        _plot_epochs(loss, [r.eval_loss for r in history], ORANGE, label)
        _plot_epochs(error, [r.eval_top1_error for r in history], ORANGE, label)
        _mark_model(history, (loss, error, lr))
    loss.set_ylabel("loss")
    error.set(ylabel="top-1 error", ylim=(0, 1))
    lr.set(xlabel="epoch", ylabel="lr", ylim=(0, None))
    show_percent(error.yaxis)
    count_epochs(lr.xaxis)
    loss.legend(loc="upper right", ncols=2)
    figure.align_ylabels()
    add_note(figure, why_training_is_above(history, handicaps))
    return figure


def _plot_epochs(axes: Axes, values: Sequence[float | None], color: str, label: str) -> None:
    """One value for each epoch; None leaves a gap."""
    marker = "o" if len(values) < 3 else ""
    heights = [math.nan if value is None else value for value in values]
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, heights, color=color, marker=marker, markersize=4, label=label)


def _mark_model(history: Sequence[EpochRecord], panels: Sequence[Axes]) -> None:
    """Mark the epoch that the run's model is of: the best by validation error, else the last."""
    measured = [r for r in history if r.eval_top1_error is not None]
    if not measured:
        return
    is_chosen = measured[-1].eval_split == "val"
    model = min(measured, key=_validation_error) if is_chosen else measured[-1]
    value = _validation_error(model)
    if is_chosen:
        for axes in panels:
            axes.axvline(model.epoch, color=GRAY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    error = panels[1]
    error.plot([model.epoch], [value], color=ORANGE, marker="o", markersize=5, linestyle="")
    is_late = model.epoch > len(history) / 2
    error.annotate(
        f"{'best' if is_chosen else 'last'} epoch {model.epoch}: {value:.1%}",
        (model.epoch, value),
        (-6 if is_late else 6, 8),
        textcoords="offset points",
        ha="right" if is_late else "left",
        fontsize=SMALL,
    )


def _validation_error(record: EpochRecord) -> float:
    return math.inf if record.eval_top1_error is None else record.eval_top1_error


def why_training_is_above(history: Sequence[EpochRecord], handicaps: Sequence[str]) -> str:
    """Why the training loss lies above the other split's; "" unless it does in most epochs."""
    pairs = [(r.train_loss, r.eval_loss) for r in history if r.eval_loss is not None]
    above = sum(train > other for train, other in pairs)
    if 2 * above <= len(pairs):
        return ""
    label = SPLIT_LABELS[str(history[0].eval_split)]
    how = f"with {' and '.join(handicaps)}, " if handicaps else ""
    return (
        f"The training loss is above that of the {label} images because it is measured {how}"
        "during the epoch,\nwhile the network still learns; the other at its end."
    )
