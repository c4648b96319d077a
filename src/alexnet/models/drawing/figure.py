"""A drawing as a figure of matplotlib, which writes it as PNG, JPEG or PDF."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon as Patch

from alexnet.io.text import printable
from alexnet.models.drawing.shapes import Drawing, Polygon, Text

UNITS_PER_INCH = 72.0
ANCHORS = {"start": "left", "middle": "center"}


def figure_of(drawing: Drawing) -> Figure:
    """The drawing as a matplotlib figure; one unit of the drawing is one point."""
    size = drawing.width / UNITS_PER_INCH, drawing.height / UNITS_PER_INCH
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    for order, item in enumerate(drawing.flat()):
        if isinstance(item, Text):
            _add_text(axes, item, order)
        else:
            _add_polygon(axes, item, order)
    return figure


def _add_polygon(axes: Axes, shape: Polygon, order: int) -> None:
    xs, ys = zip(*shape.points, strict=True)
    if shape.fill:
        area = Patch(shape.points, fc=shape.fill, alpha=shape.opacity, lw=0, zorder=order)
        axes.add_patch(area)
        xs, ys = (*xs, xs[0]), (*ys, ys[0])
    if shape.stroke:
        axes.add_line(Line2D(xs, ys, color=shape.stroke, lw=shape.width, zorder=order))


def _add_text(axes: Axes, text: Text, order: int) -> None:
    axes.text(
        text.x,
        text.y,
        printable(text.text),
        fontsize=text.size * 0.93,  # its font is wider than those of an SVG
        color=text.color,
        ha=ANCHORS[text.anchor],
        va="baseline",
        weight="bold" if text.is_bold else "normal",
        zorder=order,
        parse_math=False,
    )
