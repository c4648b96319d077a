"""Sheets of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from alexnet.plots.labels import short_label
from alexnet.plots.style import styled


@styled
def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    row_titles: Sequence[str],
    column_titles: Sequence[str] = (),
) -> Figure:
    """Rows of images.

    Args:
        rows: each a row of images [h, w, 3] or [h, w].
        row_titles: one to the left of each row.
        column_titles: one above each column; none unless given.
    """
    width, names = max(len(row) for row in rows), [short_label(title) for title in row_titles]
    margin = max(1.6, 0.5 + 0.1 * max(map(len, names)))  # inches, for the longest name
    figure = Figure(figsize=(margin + 1.35 * width, 1.4 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), width, squeeze=False)
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        for j, image in enumerate(row):
            grid[i][j].imshow(image)
        grid[i][0].set_ylabel(
            name, rotation=0, ha="right", va="center", fontsize=9, parse_math=False
        )
    for j, title in enumerate(column_titles):
        grid[0][j].set_title(title, loc="center")
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure
