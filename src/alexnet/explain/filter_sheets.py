"""Filters as figures: the first layer's weights, and the patches of deeper ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from alexnet.plots import GRAY, SMALL, Page, paragraph_height, styled

WIDTH, MARGIN, GAP = 10.0, 0.3, 0.22
MAX_BLOCK = 4.4
"""Greatest side of a channel's block in inches; a figure of few channels is narrower."""
MAX_COLUMNS = {1: 6, 2: 4}
"""Channels in a row, by the number of blocks that a channel has."""
PATCH_COLUMNS = 3
SEAM = 0.03
"""Inches between two patches."""
HEADING, TITLE_SIZE = 0.24, 11


@styled
def patches_sheet(
    patches: Mapping[int, Sequence[np.ndarray]],
    synthesized: Mapping[int, np.ndarray],
    title: str,
    note: str = "",
) -> Figure:
    """Draw a block of 3 x 3 patches for every channel, and beside it the synthesized image.

    Args:
        patches: patches by channel, strongest first; empty without images.
        synthesized: synthesized images by channel; empty if none were made.
        title: title of the figure.
        note: explanation of the figure, in small letters below the title.
    """
    channels = list(patches or synthesized)
    parts = bool(patches) + bool(synthesized)
    rows, columns = _grid(len(channels), MAX_COLUMNS[parts])
    step = min((WIDTH - 2 * MARGIN + GAP) / columns, parts * MAX_BLOCK + (parts - 1) * SEAM + GAP)
    block = (step - GAP - (parts - 1) * SEAM) / parts
    width = columns * step - GAP
    note_top = 0.2 + paragraph_height(title, width, TITLE_SIZE) + 0.02
    top = note_top + paragraph_height(note, width, SMALL) + 0.12
    page = Page(width + 2 * MARGIN, top + rows * (block + HEADING + 0.1) + 0.1)
    page.paragraph(MARGIN, 0.2, width, title, TITLE_SIZE, fontweight="bold")
    page.paragraph(MARGIN, note_top, width, note, SMALL, color=GRAY)
    for i, channel in enumerate(channels):
        row, column = divmod(i, columns)
        x, y = MARGIN + column * step, top + row * (block + HEADING + 0.1)
        page.text(x, y, f"{channel}", 8, fontweight="bold")
        if channel in synthesized:
            _draw(page, x, y + HEADING - 0.05, block, synthesized[channel])
            x += block + SEAM
        if patches:
            _draw_patches(page, x, y + HEADING - 0.05, block, patches[channel])
    return page.figure


def _grid(count: int, max_columns: int) -> tuple[int, int]:
    """The fewest rows for `count` cells, and the columns that leave the fewest cells empty."""
    rows = -(-count // max_columns)
    return rows, -(-count // rows)


def _draw_patches(
    page: Page, x: float, y: float, block: float, patches: Sequence[np.ndarray]
) -> None:
    side = (block - (PATCH_COLUMNS - 1) * SEAM) / PATCH_COLUMNS
    for i, patch in enumerate(patches):
        row, column = divmod(i, PATCH_COLUMNS)
        _draw(page, x + column * (side + SEAM), y + row * (side + SEAM), side, patch)


def _draw(page: Page, x: float, y: float, side: float, image: np.ndarray) -> None:
    axes = page.panel(x, y, side, side)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="lanczos", aspect="auto")
