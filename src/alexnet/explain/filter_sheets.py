"""Filters as figures: the first layer's weights, and the patches of deeper ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from alexnet.explain.page import Page
from alexnet.plots import GRAY, SMALL, styled

WIDTH, MARGIN, GAP = 10.0, 0.3, 0.22
PATCH_COLUMNS = 3
SEAM = 0.03
"""Inches between two patches."""
HEADING = 0.24


@styled
def patches_sheet(
    patches: Mapping[int, Sequence[np.ndarray]],
    synthesized: Mapping[int, np.ndarray],
    title: str,
    note: str = "",
) -> Figure:
    """A block of 3 x 3 patches for every channel, beside it the image that was synthesized.

    Args:
        patches: by channel, strongest first; empty without images.
        synthesized: by channel; empty if none were made.
        title: of the figure.
        note: what is seen, in a small line below the title.
    """
    channels = list(patches or synthesized)
    parts = bool(patches) + bool(synthesized)
    columns = 6 if parts == 1 else 4
    step = (WIDTH - 2 * MARGIN + GAP) / columns
    block = (step - GAP - (parts - 1) * SEAM) / parts
    rows = -(-len(channels) // columns)
    top = 0.72
    page = Page(WIDTH, top + rows * (block + HEADING + 0.1) + 0.1)
    page.text(MARGIN, 0.2, title, 11, fontweight="bold")
    page.text(MARGIN, 0.45, note, SMALL, color=GRAY)
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
