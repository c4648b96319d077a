"""One style for all plots: colors that color-blind readers can tell apart, sizes, a light grid.

A function that makes a figure is decorated with `styled` and begins with `new_figure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from alexnet.plots.fonts import can_draw, use_fallback_fonts
from alexnet.plots.labels import short_label, text_width

P = ParamSpec("P")

WIDTH = 7.5
"""Width of a figure in inches. On a page 79 columns wide
its smallest text is as large as the page's."""
INK, GRAY, LIGHT = "#222222", "#8a8a8a", "#e6e6e6"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
COLORS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#e69f00", "#5b3a8c", INK)
"""Colors of lines. Source: Okabe and Ito 2008, whose yellow is too light on white; violet is
added."""
TITLE_WIDTH, PART_WIDTH = 70, 22
"""Maximum columns of a line of a title, and of a name in it."""
SMALL = 7.5
"""Size of notes and of labels beside marks, in points."""

STYLE: Any = {  # of a type that names every key of matplotlib
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so every machine draws the same
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.titlesize": 10.5,
    "figure.titleweight": "bold",
    "text.color": INK,
    "text.parse_math": False,  # names of files and classes may have $
    "axes.labelcolor": INK,
    "axes.edgecolor": GRAY,
    "axes.prop_cycle": f"cycler(color={list(COLORS)})",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LIGHT,
    "grid.linewidth": 0.8,
    "xtick.color": GRAY,
    "ytick.color": GRAY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": 130,
    "savefig.facecolor": "white",
    "svg.hashsalt": "alexnet",  # the same figure gives the same bytes
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that makes a figure: the figure gets this style and fallback fonts."""

    @wraps(draw)
    def draw_styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            use_fallback_fonts(figure)
        return figure

    return draw_styled


def new_figure(height: float, title: str = "", width: float = WIDTH) -> Figure:
    """An empty figure of this size in inches with constrained layout; it needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def add_note(figure: Figure, text: str) -> None:
    """Add a small line of text at the foot of a figure; nothing if the text is empty."""
    if text:
        figure.supxlabel(text, x=0.01, ha="left", fontsize=SMALL, color=INK)


def run_title(what: str, parts: Iterable[str]) -> str:
    """Make a title: what is shown, then the parts (run, data, network) that are not empty."""
    known = " · ".join(short_label(part, PART_WIDTH) for part in parts if part and can_draw(part))
    if text_width(what + known) > TITLE_WIDTH:
        return f"{what}\n{known}"
    return f"{what}: {known}" if known else what


def percent(fraction: float, decimals: int = 0) -> str:
    """A fraction from 0 to 1 as percent."""
    return f"{100 * fraction:.{decimals}f} %"


def count_epochs(axis: Axis) -> None:
    """Put ticks at whole numbers."""
    axis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def show_percent(axis: Axis) -> None:
    """Label the ticks of fractions as percent."""
    axis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def use_log_scale(axes: Axes, which: Literal["x", "y"]) -> None:
    """Use a logarithmic scale with plain numbers, not with matplotlib's mathtext."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
