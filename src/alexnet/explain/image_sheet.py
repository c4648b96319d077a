"""Everything that is known of one image's prediction, as one figure."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from alexnet.explain.explanation import METHODS, Explanation, NeighborImage, StrongChannels
from alexnet.explain.map_panels import CAPTIONS, TITLES, draw_map, draw_whole_image
from alexnet.explain.page import Page
from alexnet.plots import BLUE, GRAY, INK, SMALL, drawable, percent, short_label, styled

WIDTH, MARGIN, GAP = 10.0, 0.3, 0.2
INNER = WIDTH - 2 * MARGIN
TITLE_SPACE, HEADING = 0.72, 0.26
CAPTION_SPACE, CAPTION_COLUMNS = 0.62, 42
NEIGHBOR_SIDE = 1.7
NUM_NEIGHBORS, NAME_COLUMNS = 5, 24
TITLE_COLUMNS, CLASS_COLUMNS = 60, 54
"""Of the names of the title and of the bars."""
MAX_LAYERS = 8
"""Convolutions whose channels are shown."""


@styled
def sheet(explanation: Explanation, model: str = "") -> Figure:
    """The image, its most probable classes, the maps of all methods, the strongest channels.

    Args:
        explanation: what is shown.
        model: the name of the run or file, for the title.
    """
    aspect = _panel_aspect(explanation)
    methods = [method for method in METHODS if method in explanation.maps]
    quarter = (INNER - 3 * GAP) / 4
    first = quarter * aspect
    maps_height = (HEADING + quarter * aspect + CAPTION_SPACE) if methods else 0.0
    layers = explanation.channels[:MAX_LAYERS]
    tiles_height = HEADING + _block_side(len(layers)) + 0.2 if layers else 0.0
    neighbors_height = HEADING + NEIGHBOR_SIDE + CAPTION_SPACE if explanation.neighbors else 0.0
    height = TITLE_SPACE + HEADING + first + GAP + maps_height + tiles_height + neighbors_height
    page = Page(WIDTH, height + MARGIN)
    _title(page, explanation, model)
    y = TITLE_SPACE
    _first_row(page, y, quarter, first, explanation)
    y += HEADING + first + GAP
    for i, method in enumerate(methods):
        _map_panel(page, MARGIN + i * (quarter + GAP), y, quarter, first, explanation, method)
    y += maps_height
    if layers:
        _channel_row(page, y, layers)
    if explanation.neighbors:
        _neighbor_row(page, y + tiles_height, explanation.neighbors)
    return page.figure


def _panel_aspect(explanation: Explanation) -> float:
    """Height of a panel in widths: that of the image, but neither a strip nor a tower."""
    width, height = explanation.size
    return min(max(height / width, 0.6), 1.25)


def _title(page: Page, explanation: Explanation, model: str) -> None:
    name = short_label(drawable(explanation.class_name), TITLE_COLUMNS)
    page.text(MARGIN, 0.2, f"{name}  {percent(explanation.probability, 1)}", 13, fontweight="bold")
    page.text(MARGIN, 0.45, drawable(explanation.image), SMALL, color=GRAY)
    page.text(WIDTH - MARGIN, 0.45, drawable(model), SMALL, color=GRAY, ha="right")


def _heading(page: Page, x: float, y: float, text: str) -> None:
    page.text(x, y + 0.04, text, 8.5, fontweight="bold")


def _first_row(page: Page, y: float, width: float, height: float, e: Explanation) -> None:
    """The whole image, what the network gets, and the most probable classes."""
    _heading(page, MARGIN, y, "The image")
    draw_whole_image(page.panel(MARGIN, y + HEADING, width, height), e)
    side = min(width, height)
    x = MARGIN + width + GAP
    _heading(page, x, y, f"What the network gets ({e.pixels.shape[1]} x {e.pixels.shape[0]})")
    page.panel(x, y + HEADING, side, side).imshow(e.pixels, cmap="gray", vmin=0, vmax=255)
    x = MARGIN + 2 * (width + GAP)
    _heading(page, x, y, "Most probable classes")
    _bars(page, x, y + HEADING, WIDTH - MARGIN - x, side, e)


def _bars(page: Page, x: float, y: float, width: float, height: float, e: Explanation) -> None:
    axes = page.panel(x, y, width, height)
    n = len(e.top_classes)
    for i, top in enumerate(e.top_classes):
        label = short_label(drawable(top.label), CLASS_COLUMNS)
        color = BLUE if top.label == e.class_name else "#b9c6d0"
        axes.barh(i + 0.22, top.probability, 0.3, color=color)
        axes.text(0, i - 0.24, label, fontsize=8.5, va="center", color=INK)
        axes.text(1, i - 0.24, percent(top.probability, 1), fontsize=8.5, va="center", ha="right")
    axes.set(xlim=(0, 1), ylim=(n - 0.5, -0.5))


def _map_panel(
    page: Page, x: float, y: float, width: float, height: float, e: Explanation, method: str
) -> None:
    _heading(page, x, y, TITLES[method])
    draw_map(page.panel(x, y + HEADING, width, height), e, method)
    page.text(x, y + HEADING + height + 0.06, fill(CAPTIONS[method](e), CAPTION_COLUMNS))


def _block_side(count: int) -> float:
    """Side of the block of a layer's channels, so that all layers fill the row."""
    return min((INNER - (count - 1) * GAP) / max(count, 1), 2.2)


def _channel_row(page: Page, y: float, layers: tuple[StrongChannels, ...]) -> None:
    """The strongest channels of every layer, as a block of 2 x 2 tiles each."""
    side = _block_side(len(layers))
    for i, layer in enumerate(layers):
        x = MARGIN + i * (side + GAP)
        _heading(page, x, y, f"{layer.layer}: strongest channels")
        _channel_block(page, x, y + HEADING, side, layer)


def _channel_block(page: Page, x: float, y: float, side: float, layer: StrongChannels) -> None:
    space = 0.06
    tile = (side - space) / 2
    for i, (index, values) in enumerate(zip(layer.indices, layer.maps, strict=True)):
        row, column = divmod(i, 2)
        axes = page.panel(x + column * (tile + space), y + row * (tile + space), tile, tile)
        axes.imshow(np.maximum(values, 0), cmap="magma", vmin=0, vmax=max(values.max(), 1e-12))
        axes.text(
            0.04, 0.96, str(index), transform=axes.transAxes, va="top", fontsize=7, color="white"
        )


def _neighbor_row(page: Page, y: float, neighbors: tuple[NeighborImage, ...]) -> None:
    """The nearest images with their class and distance."""
    _heading(page, MARGIN, y, "Nearest training images by the last hidden layer")
    step = (INNER + GAP) / max(len(neighbors), NUM_NEIGHBORS)
    for i, near in enumerate(neighbors):
        x = MARGIN + i * step
        page.panel(x, y + HEADING, NEIGHBOR_SIDE, NEIGHBOR_SIDE).imshow(near.pixels)
        label = short_label(drawable(near.neighbor.label), NAME_COLUMNS)
        bottom = y + HEADING + NEIGHBOR_SIDE + 0.06
        page.text(x, bottom, label, color=INK)
        distance = f"distance {near.neighbor.distance:.1f}"
        page.text(x, bottom + 0.15, distance, color=GRAY)
