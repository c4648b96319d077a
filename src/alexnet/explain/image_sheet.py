"""The explanation of one image's prediction as one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.explain.channels import NUM_CHANNELS
from alexnet.explain.explanation import METHODS, Explanation, NeighborImage, StrongChannels
from alexnet.explain.map_panels import CAPTIONS, TITLES, draw_map, draw_whole_image
from alexnet.plots import (
    BLUE,
    GRAY,
    INK,
    LINE_SPACING,
    SMALL,
    Page,
    drawable,
    lines_of,
    percent,
    short_label,
    styled,
)

WIDTH, MARGIN, GAP = 10.0, 0.3, 0.2
INNER = WIDTH - 2 * MARGIN
TITLE_SPACE, HEADING = 0.72, 0.26
CAPTION_GAP, LINE = 0.06, SMALL * LINE_SPACING / 72
"""Inches between a panel and its caption, and the height of a line of the caption."""
MAX_NEIGHBOR_SIDE, NEIGHBOR_TEXT = 2.6, 0.62
MAX_PANEL = 4.4
"""Greatest height of a panel in inches."""
TILE_SPACE = 0.06
TITLE_COLUMNS, CLASS_COLUMNS, NAME_COLUMNS = 60, 54, 24
"""Greatest length in columns of the class name in the title, at a bar and below a neighbor."""
MAX_LAYERS = 8
"""Number of convolutions whose channels are shown."""


class _Cell(NamedTuple):
    """A panel of a row, below its heading."""

    heading: str
    width: float
    """In inches, as `height`."""
    height: float
    draw: Callable[[Axes], None]
    caption: str = ""


@styled
def sheet(explanation: Explanation, model: str = "") -> Figure:
    """Draw an image, its most probable classes, the maps of all methods and the strongest channels.

    The panels of few maps are large, so that they fill their row.

    Args:
        explanation: the explanation that is drawn.
        model: the name of the run or file, for the title.
    """
    layers, neighbors = explanation.channels[:MAX_LAYERS], explanation.neighbors
    rows = _panel_rows(explanation)
    height = TITLE_SPACE + sum(map(_row_height, rows)) + MARGIN
    channels_height = HEADING + _block_size(len(layers))[1] + GAP if layers else 0.0
    neighbors_height = HEADING + _side(len(neighbors)) + NEIGHBOR_TEXT if neighbors else 0.0
    page = Page(WIDTH, height + channels_height + neighbors_height)
    _title(page, explanation, model)
    y = TITLE_SPACE
    for row in rows:
        _draw_row(page, y, row)
        y += _row_height(row)
    if layers:
        _channel_row(page, y, layers)
    if neighbors:
        _neighbor_row(page, y + channels_height, neighbors)
    return page.figure


def _title(page: Page, explanation: Explanation, model: str) -> None:
    name = short_label(drawable(explanation.class_name), TITLE_COLUMNS)
    page.text(MARGIN, 0.2, f"{name}  {percent(explanation.probability, 1)}", 13, fontweight="bold")
    page.text(MARGIN, 0.45, drawable(explanation.image), SMALL, color=GRAY)
    page.text(WIDTH - MARGIN, 0.45, drawable(model), SMALL, color=GRAY, ha="right")


def _heading(page: Page, x: float, y: float, text: str) -> None:
    page.text(x, y + 0.04, text, 8.5, fontweight="bold")


def _panel_rows(e: Explanation) -> list[list[_Cell]]:
    """Rows with the image, the network's input, the classes and the maps.

    A single map is beside the image.
    """
    methods = [method for method in METHODS if method in e.maps]
    is_single = len(methods) == 1
    size = _panel_size(e, 2 if is_single else 4)
    image = _Cell("The image", *size, partial(draw_whole_image, e=e))
    side = min(_panel_size(e, 4))
    heading = f"What the network gets ({e.pixels.shape[1]} x {e.pixels.shape[0]})"
    taken = _column(4) + GAP + (0 if is_single else _column(4) + GAP)
    rest = [
        _Cell(heading, _column(4), side, partial(_draw_input, e=e)),
        _Cell("Most probable classes", INNER - taken, side, partial(_draw_bars, e=e)),
    ]
    maps = [_map_cell(e, method, len(methods)) for method in methods]
    if is_single:
        return [[image, *maps], rest]
    return [[image, *rest], *([maps] if maps else [])]


def _map_cell(e: Explanation, method: str, count: int) -> _Cell:
    """The panel of a map, one of `count` in a row; a single one has half of the row."""
    width, height = _panel_size(e, max(count, 2))
    lines = lines_of(CAPTIONS[method](e), width)
    draw = partial(draw_map, e=e, method=method)
    return _Cell(TITLES[method], width, height, draw, "\n".join(lines))


def _column(count: int) -> float:
    """Width of each of `count` panels that fill a row."""
    return (INNER - (count - 1) * GAP) / count


def _panel_size(e: Explanation, count: int) -> tuple[float, float]:
    """Width and height of each of `count` panels in a row, of about the image's aspect ratio."""
    width, height = e.size
    aspect = min(max(height / width, 0.6), 1.25)
    return _column(count), min(_column(count) * aspect, MAX_PANEL)


def _row_height(row: Sequence[_Cell]) -> float:
    """The height of a row with its heading, its captions and the gap below."""
    num_lines = max(cell.caption.count("\n") + 1 if cell.caption else 0 for cell in row)
    captions = CAPTION_GAP + num_lines * LINE if num_lines else 0.0
    return HEADING + max(cell.height for cell in row) + captions + GAP


def _draw_row(page: Page, y: float, row: Sequence[_Cell]) -> None:
    x = MARGIN
    for cell in row:
        _heading(page, x, y, cell.heading)
        cell.draw(page.panel(x, y + HEADING, cell.width, cell.height))
        page.text(x, y + HEADING + cell.height + CAPTION_GAP, cell.caption)
        x += cell.width + GAP


def _draw_input(axes: Axes, e: Explanation) -> None:
    axes.imshow(e.pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_anchor("NW")


def _draw_bars(axes: Axes, e: Explanation) -> None:
    n = len(e.top_classes)
    for i, top in enumerate(e.top_classes):
        label = short_label(drawable(top.label), CLASS_COLUMNS)
        color = BLUE if top.label == e.class_name else "#b9c6d0"
        axes.barh(i + 0.22, top.probability, 0.3, color=color)
        axes.text(0, i - 0.24, label, fontsize=8.5, va="center", color=INK)
        axes.text(1, i - 0.24, percent(top.probability, 1), fontsize=8.5, va="center", ha="right")
    axes.set(xlim=(0, 1), ylim=(n - 0.5, -0.5))


def _block_size(count: int) -> tuple[float, float]:
    """Width and height of the block of channels of one of `count` layers that fill a row."""
    width = _column(count)
    columns = _tile_columns(count)
    tile = (width - (columns - 1) * TILE_SPACE) / columns
    rows = NUM_CHANNELS // columns
    return width, rows * tile + (rows - 1) * TILE_SPACE


def _tile_columns(count: int) -> int:
    """Columns of a layer's tiles: 2; all tiles in one row if there are one or two layers."""
    return NUM_CHANNELS if count <= 2 else 2


def _channel_row(page: Page, y: float, layers: Sequence[StrongChannels]) -> None:
    """Draw the strongest channels of every layer as tiles."""
    width, _ = _block_size(len(layers))
    for i, layer in enumerate(layers):
        x = MARGIN + i * (width + GAP)
        _heading(page, x, y, f"{layer.layer}: strongest channels")
        _channel_tiles(page, x, y + HEADING, width, _tile_columns(len(layers)), layer)


def _channel_tiles(
    page: Page, x: float, y: float, width: float, columns: int, layer: StrongChannels
) -> None:
    tile = (width - (columns - 1) * TILE_SPACE) / columns
    step = tile + TILE_SPACE
    for i, (index, values) in enumerate(zip(layer.indices, layer.maps, strict=True)):
        row, column = divmod(i, columns)
        axes = page.panel(x + column * step, y + row * step, tile, tile)
        axes.imshow(np.maximum(values, 0), cmap="magma", vmin=0, vmax=max(values.max(), 1e-12))
        axes.text(
            0.04, 0.96, str(index), transform=axes.transAxes, va="top", fontsize=7, color="white"
        )


def _side(num_neighbors: int) -> float:
    """The side of an image in the row of neighbors, in inches."""
    return min(_column(num_neighbors), MAX_NEIGHBOR_SIDE)


def _neighbor_row(page: Page, y: float, neighbors: Sequence[NeighborImage]) -> None:
    """Draw the nearest images with their class and distance."""
    _heading(page, MARGIN, y, "Nearest training images by the last hidden layer")
    side = _side(len(neighbors))
    for i, near in enumerate(neighbors):
        x = MARGIN + i * (side + GAP)
        page.panel(x, y + HEADING, side, side).imshow(near.pixels)
        label = short_label(drawable(near.neighbor.label), NAME_COLUMNS)
        bottom = y + HEADING + side + CAPTION_GAP
        page.text(x, bottom, label, color=INK)
        distance = f"distance {near.neighbor.distance:.1f}"
        page.text(x, bottom + 0.15, distance, color=GRAY)
