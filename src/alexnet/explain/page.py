"""A figure whose parts are placed in inches from the top left corner."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.plots import INK, SMALL


class Page:
    """A white figure of fixed size; panels and texts are placed in inches."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), facecolor="white")

    def panel(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes without ticks and frame; (x, y) is the top left corner."""
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
        """Text whose top left corner is (x, y)."""
        style = {"color": INK, "va": "top", "ha": "left", "linespacing": 1.35, **style}
        self.figure.text(x / self.width, 1 - y / self.height, text, fontsize=size, **style)
