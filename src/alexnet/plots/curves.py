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
    percent,
    show_percent,
    styled,
)
from alexnet.records import EpochRecord

SPLIT_LABELS = {"val": "validation", "test": "test"}


@styled
def learning_curves(
    history: Sequence[EpochRecord], title: str = "", handicaps: Sequence[str] = ()
) -> Figure:
    """Plot loss, top-1 error and learning rate over the epochs.

    Args:
        history: the epochs of a run.
        title: the title of the figure.
        handicaps: what makes training images harder than those of the evaluated split, such as
            "dropout"; a note names them if the training loss is above the other.
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
    loss.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=2)
    error.set(ylabel="top-1 error", ylim=(-0.02, 1.02))
    highest = max((r.lr for r in history), default=0) or 1.0
    lr.set(xlabel="epoch", ylabel="lr", xlim=(0.5, len(history) + 0.5), ylim=(0, 1.15 * highest))
    lr.set_yticks([0, highest], ["0", f"{highest:.3g}"])
    show_percent(error.yaxis)
    count_epochs(lr.xaxis)
    figure.align_ylabels()
    add_note(figure, why_training_is_above(history, handicaps))
    return figure


def _plot_epochs(axes: Axes, values: Sequence[float | None], color: str, label: str) -> None:
    """Plot one value for each epoch; None leaves a gap."""
    marker = "o" if len(values) < 3 else ""
    heights = [math.nan if value is None else value for value in values]
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, heights, color=color, marker=marker, markersize=4, label=label)


def _mark_model(history: Sequence[EpochRecord], panels: Sequence[Axes]) -> None:
    """Mark the epoch whose weights are the model: the best by validation error, else the last."""
    measured = [r for r in history if r.eval_top1_error is not None]
    if not measured:
        return
    is_chosen = measured[-1].eval_split == "val"
    model = min(measured, key=_validation_error) if is_chosen else measured[-1]
    if is_chosen:
        for axes in panels:
            axes.axvline(model.epoch, color=GRAY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    value, error = _validation_error(model), panels[1]
    error.plot([model.epoch], [value], color=ORANGE, marker="o", markersize=5, linestyle="")
    is_late = model.epoch > len(history) / 2
    error.annotate(
        f"{'best' if is_chosen else 'last'} epoch {model.epoch}: {percent(value, 1)}",
        (model.epoch, _free_height(history, model.epoch, is_late)),
        (-6 if is_late else 6, 0),
        textcoords="offset points",
        ha="right" if is_late else "left",
        va="center",
        fontsize=SMALL,
    )


def _free_height(history: Sequence[EpochRecord], epoch: int, is_late: bool) -> float:
    """A height (error) for the label beside an epoch, as far as possible away from the curves."""
    width = max(1, len(history) // 3)
    near = history[max(0, epoch - width) : epoch] if is_late else history[epoch - 1 : epoch + width]
    errors = [r.train_top1_error for r in near] + [_validation_error(r) for r in near]
    gaps = {h: min(abs(h - error) for error in errors) for h in (0.92, 0.08, 0.5, 0.7, 0.3)}
    return next((h for h, gap in gaps.items() if gap > 0.1), max(gaps, key=lambda h: gaps[h]))


def _validation_error(record: EpochRecord) -> float:
    return math.inf if record.eval_top1_error is None else record.eval_top1_error


def why_training_is_above(history: Sequence[EpochRecord], handicaps: Sequence[str]) -> str:
    """Explain why the training loss is above that of the evaluated split.

    "" unless it is above in most epochs of the run's second half.
    """
    late = [r for r in history if r.eval_loss is not None and 2 * r.epoch > len(history)]
    above = sum(r.train_loss > r.eval_loss for r in late if r.eval_loss is not None)
    if 2 * above <= len(late):
        return ""
    label = SPLIT_LABELS[str(late[0].eval_split)]
    how = f"with {' and '.join(handicaps)} and " if handicaps else ""
    return (
        f"The training loss is above that of {label}: it is measured {how}during the epoch,\n"
        "while the network still learns."
    )
