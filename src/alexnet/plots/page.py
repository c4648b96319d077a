"""A figure whose parts are placed in inches from the top left corner."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.plots.style import INK, SMALL

LETTER = 0.0072
"""Mean width of a letter in inches per point of its size; bold ones are wider."""
BOLD_LETTER = 0.0086
LINE_SPACING = 1.35


class Page:
    """A white figure of fixed size; panels and texts are placed in inches."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), facecolor="white")

    def panel(self, x: float, y: float, width: float, height: float) -> Axes:
        """Add axes without ticks and frame; (x, y) is their top left corner."""
        axes = self.figure.add_axes(
            (
                x / self.width,
                1 - (y + height) / self.height,
                width / self.width,
                height / self.height,
            )
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.grid(False)
        return axes

    def text(self, x: float, y: float, text: str, size: float = SMALL, **style: Any) -> None:
        """Add a text whose top left corner is (x, y)."""
        style = {"color": INK, "va": "top", "ha": "left", "linespacing": LINE_SPACING, **style}
        self.figure.text(x / self.width, 1 - y / self.height, text, fontsize=size, **style)

    def paragraph(
        self, x: float, y: float, width: float, text: str, size: float = SMALL, **style: Any
    ) -> None:
        """Like `text`, wrapped to lines of at most `width` inches."""
        self.text(x, y, "\n".join(lines_of(text, width, size)), size, **style)


def lines_of(text: str, width: float, size: float = SMALL) -> list[str]:
    """Wrap a text to lines of at most `width` inches; sizes from 10 points on are taken as bold."""
    letter = size * (BOLD_LETTER if size >= 10 else LETTER)
    return [line for part in text.split("\n") for line in wrap(part, max(1, int(width / letter)))]


def paragraph_height(text: str, width: float, size: float = SMALL) -> float:
    """The height in inches of a text that is wrapped to `width` inches."""
    return len(lines_of(text, width, size)) * size * LINE_SPACING / 72
