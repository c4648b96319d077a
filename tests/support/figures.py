"""The texts of a figure as a reader sees them, and whether any of them overlap."""

from __future__ import annotations

from itertools import combinations
from unittest.mock import patch

import matplotlib as mpl
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from alexnet.plots.style import STYLE


def drawn_texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that is drawn, with its box in pixels; those rotated by 45 degrees left out."""
    drawn: dict[int, tuple[str, Bbox]] = {}
    draw = Text.draw

    def record(self: Text, renderer: RendererBase, *args: object, **kwargs: object) -> None:
        draw(self, renderer, *args, **kwargs)
        if self.get_text().strip() and self.get_visible() and self.get_rotation() % 90 == 0:
            drawn[id(self)] = self.get_text(), self.get_window_extent(renderer)

    with mpl.rc_context(STYLE), patch.object(Text, "draw", record):
        FigureCanvasAgg(figure).draw()
    return list(drawn.values())


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes overlap by more than half a pixel."""
    return [
        (a, b)
        for (a, one), (b, other) in combinations(drawn_texts(figure), 2)
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 0.5
        and min(one.y1, other.y1) - max(one.y0, other.y0) > 0.5
    ]
