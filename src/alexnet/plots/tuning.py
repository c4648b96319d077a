"""Figures of a tuning: parallel coordinates of the trials, and bars of the importances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from alexnet.plots.labels import short_label
from alexnet.plots.style import BLUE, GRAY, INK, SMALL, new_figure, show_percent, styled

MAX_LABEL = 16
"""Maximum columns of a choice's name."""
COLOR_MAP = "viridis"
"""The color map of errors: the lower the error, the darker."""


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """A trial as a line of the parallel coordinates."""

    values: tuple[float, ...]
    """The value on each axis; for choices, the index of the choice."""
    error: float | None
    """Validation error, 0 to 1; None for a trial that has no finished result."""
    mark: str = ""
    """The legend's name of a highlighted trial; "" for others."""


@dataclass(frozen=True, kw_only=True)
class ValueAxis:
    """The axis of an option."""

    name: str
    low: float
    high: float
    log: bool = False
    choices: tuple[str, ...] = ()
    """The names of the choices, which are 0, 1, .. on this axis."""

    def place(self, value: float) -> float:
        """The position of a value on the axis, from 0 at `low` to 1 at `high`."""
        scale = math.log if self.log else float
        low, high = scale(self.low), scale(self.high)
        return (scale(value) - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """The positions of the ticks and their labels."""
        if self.choices:
            names = (short_label(name, MAX_LABEL) for name in self.choices)
            return [(self.place(i), name) for i, name in enumerate(names)]
        values = [self.low, *(self._decades() if self.log else self._parts()), self.high]
        return [(self.place(value), f"{value:.2g}") for value in values]

    def _parts(self) -> list[float]:
        """The values that divide the range into four equal parts."""
        return [self.low + (self.high - self.low) * part for part in (0.25, 0.5, 0.75)]

    def _decades(self) -> list[float]:
        """The powers of ten within the range, without those close to its ends."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        powers = [10.0**exponent for exponent in range(first, last + 1)]
        return [power for power in powers if 0.05 < self.place(power) < 0.95]


@styled
def parallel_coordinates(
    axes: Sequence[ValueAxis], trials: Sequence[TrialLine], title: str = ""
) -> Figure:
    """Plot every trial as a line through its values, colored by its validation error.

    Trials without a finished result are gray.

    Args:
        axes: one for each option.
        trials: in any order.
        title: the title of the figure.
    """
    figure = new_figure(4.2, title)
    plot = figure.subplots()
    errors = [trial.error for trial in trials if trial.error is not None]
    norm = Normalize(min(errors, default=0.0), max(errors, default=1.0))
    colors = ScalarMappable(norm, COLOR_MAP)
    for trial in sorted(trials, key=_order):
        _plot_trial(plot, axes, trial, colors)
    _show_axes(plot, axes)
    if errors:
        bar = figure.colorbar(colors, ax=plot, pad=0.08)
        bar.set_label("validation error")
        show_percent(bar.ax.yaxis)
        bar.outline.set_visible(False)
    if any(trial.mark for trial in trials):
        plot.legend(loc="upper left", bbox_to_anchor=(0, 0), ncols=3)
    return figure


def _order(trial: TrialLine) -> tuple[bool, bool, float]:
    """The sort key of drawing: marked trials last, and better ones after worse ones."""
    return bool(trial.mark), trial.error is not None, -(trial.error or 0.0)


def _plot_trial(
    plot: Axes, axes: Sequence[ValueAxis], trial: TrialLine, colors: ScalarMappable
) -> None:
    places = [axis.place(value) for axis, value in zip(axes, trial.values, strict=True)]
    places = places * 2 if len(places) == 1 else places
    color = GRAY if trial.error is None else colors.to_rgba(trial.error)  # type: ignore[arg-type]
    is_gray = trial.error is None
    plot.plot(
        np.linspace(0, max(1, len(axes) - 1), len(places)),
        places,
        color=color,
        alpha=0.35 if is_gray else 0.9,
        linewidth=3.0 if trial.mark else 0.8 if is_gray else 1.4,
        linestyle="--" if trial.mark == "recipe" else "-",
        label=trial.mark or None,
    )


def _show_axes(plot: Axes, axes: Sequence[ValueAxis]) -> None:
    """Draw a vertical line with its own ticks for each option."""
    plot.set_xlim(-0.1, max(1, len(axes) - 1) + 0.1)
    plot.set_ylim(-0.04, 1.04)
    plot.set_xticks(range(len(axes)), [axis.name for axis in axes])
    plot.tick_params(axis="x", top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    plot.set_yticks([])
    plot.grid(False)
    for side in ("left", "bottom"):
        plot.spines[side].set_visible(False)
    for x, axis in enumerate(axes):
        plot.axvline(x, color=INK, linewidth=0.8, zorder=3)
        for place, text in axis.ticks():
            plot.annotate(
                text,
                (x, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=SMALL,
                zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6},
            )


@styled
def importance_bars(importances: Mapping[str, float], title: str = "") -> Figure:
    """Plot the importance of each option as bars, the longest first.

    Args:
        importances: fractions by the names of the options; their sum is 1.
        title: the title of the figure.
    """
    figure = new_figure(0.9 + 0.32 * len(importances), title)
    plot = figure.subplots()
    ordered = sorted(importances.items(), key=lambda item: item[1])
    plot.barh([name for name, _ in ordered], [value for _, value in ordered], color=BLUE)
    plot.set_xlim(0, 1)
    show_percent(plot.xaxis)
    plot.set_xlabel("importance")
    plot.grid(axis="y", visible=False)
    return figure
