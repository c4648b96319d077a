"""Plot sheets of images with captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from alexnet.plots.labels import drawable, text_width, wrapped_label
from alexnet.plots.style import SMALL, WIDTH, new_figure, styled

NAME_WIDTH = 18
"""Width in columns of a name at the left of a row."""
INCHES_PER_LETTER = 0.063
"""Mean width of a letter in a caption."""


@styled
def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    row_titles: Sequence[str],
    column_titles: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    title: str = "",
) -> Figure:
    """Plot rows of images.

    Args:
        rows: the rows, each a sequence of images [h, w, 3] or [h, w].
        row_titles: the text to the left of each row.
        column_titles: the text above each column; none unless given.
        captions: the text below each image; none unless given.
        title: the title of the figure.
    """
    columns = max(map(len, rows))
    names = [wrapped_label(drawable(name), NAME_WIDTH, 3) for name in row_titles]
    margin = 0.2 + 0.085 * max(text_width(line) for name in names for line in name.split("\n"))
    tile = min(1.5, max(0.8, (WIDTH - margin) / columns))
    texts = [[_caption(text, tile) for text in row] for row in captions]
    num_lines = max((text.count("\n") + 1 for row in texts for text in row), default=0)
    height = (tile + 0.13 * num_lines) * len(rows) + 0.3 * bool(title) + 0.25 * bool(column_titles)
    figure = new_figure(height, title, margin + tile * columns)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for i, row in enumerate(rows):
        for axes, image in zip(grid[i], row, strict=False):
            axes.imshow(image)
        grid[i][0].set_ylabel(names[i], rotation=0, ha="right", va="center")
    for i, row_texts in enumerate(texts):
        for axes, text in zip(grid[i], row_texts, strict=False):
            axes.set_xlabel(text, fontsize=SMALL, labelpad=2)
    for axes, text in zip(grid[0], column_titles, strict=False):
        axes.set_title(text, loc="center")
    return figure


def _caption(text: str, tile: float) -> str:
    """Shorten or wrap a caption to the width of its image, `tile` inches."""
    width = int(tile / INCHES_PER_LETTER)
    return "\n".join(wrapped_label(drawable(line, ""), width) for line in text.split("\n"))
