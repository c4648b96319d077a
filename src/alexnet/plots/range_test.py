"""The curve of a learning-rate range test."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from alexnet.plots.style import BLUE, ORANGE, new_figure, styled, use_log_scale


@styled
def range_test(
    lrs: Sequence[float], losses: Sequence[float], suggestion: float | None, title: str = ""
) -> Figure:
    """Plot the smoothed loss over the learning rate, and the suggested rate, if there is one.

    Args:
        lrs: the learning rate of each step, ascending.
        losses: the smoothed loss of each step.
        suggestion: the suggested learning rate, one of `lrs`; None if there is none.
        title: the title of the figure.
    """
    figure = new_figure(3.6, title)
    axes = figure.subplots()
    axes.plot(lrs, losses, color=BLUE)
    if suggestion is not None:
        at = losses[lrs.index(suggestion)]
        axes.plot([suggestion], [at], "o", color=ORANGE, label=f"suggested: {suggestion:.2g}")
        axes.legend(loc="upper left")
    low, high = min(losses), max(losses[: 1 + losses.index(min(losses))])
    depth = high - low or 1.0  # a test of a few steps has a flat curve
    axes.set(xlabel="learning rate", ylabel="training loss, smoothed")
    axes.set_ylim(low - 0.08 * depth, high + 0.35 * depth)
    use_log_scale(axes, "x")
    return figure
