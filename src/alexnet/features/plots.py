"""Sheets of nearest images as the paper's figure 4, and maps of a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from alexnet.features.map import FeatureMap
from alexnet.features.neighbors import NearestImages, Neighbor, Neighbors
from alexnet.plots import (
    BLUE,
    COLORS,
    GRAY,
    INK,
    ORANGE,
    SMALL,
    WIDTH,
    Page,
    add_note,
    class_labels,
    drawable,
    new_figure,
    paragraph_height,
    percent,
    run_title,
    short_label,
    styled,
)

MARGIN, GAP = 0.2, 0.1
TILE, LARGE_TILE = 1.25, 2.2
"""Side of an image on a sheet, in inches, and its largest side on a sheet of few queries."""
FEW_QUERIES = 3
TITLE_SIZE = 10.5
COLUMN = 0.057
"""Width of a letter in the text below an image, in inches."""
MAX_QUERIES = 20
"""Largest number of rows of a sheet."""
MAX_COLUMNS = 10
"""Largest number of neighbors that a sheet shows of each query."""
FRAME = 2.5
"""Width of the frame of a neighbor, in points."""
MARKERS = "os^Dv"
"""Shapes of the points of a map; a shape and a color together mean one class."""
MAX_LEGEND_CLASSES = len(COLORS) * 3
"""Largest number of classes in a legend; names of more are written between the points."""
MAX_PLACED_NAMES = 400
"""Number of classes, those with most images first, whose names are written if they fit."""


@styled
def neighbors_sheet(
    found: Sequence[Neighbors],
    nearest: NearestImages,
    max_columns: int = MAX_COLUMNS,
) -> Figure:
    """One row per query: the query, then its neighbors, nearest first.

    A neighbor of the query's class has a blue frame, another one an orange frame and a cross.

    Args:
        found: from `nearest.find`, with the pixels of the queries.
        nearest: what was searched.
        max_columns: neighbors that are shown of each query.

    Source: Paper, figure 4, right.
    """
    columns = 1 + min(max_columns, max(len(one.neighbors) for one in found))
    tile = _tile(len(found), columns)
    step, row_height = tile + GAP, tile + 0.62
    width = columns * step - GAP
    title = run_title(
        "Nearest images by the last hidden layer",
        (nearest.searched.store.info.name, nearest.searched.split),
    )
    note = _frames_text([one.neighbors[: columns - 1] for one in found])
    top = 0.5 + paragraph_height(title, width, TITLE_SIZE)
    bottom = top + len(found) * row_height
    page = Page(width + 2 * MARGIN, bottom + paragraph_height(note, width) + MARGIN)
    page.paragraph(MARGIN, 0.15, width, title, TITLE_SIZE, fontweight="bold")
    for i, text in enumerate(("query", "nearest →")):
        page.text(MARGIN + i * step, top - 0.07, text, va="baseline")
    for i, one in enumerate(found):
        _draw_query(page, MARGIN, top + i * row_height, tile, one)
        for j, near in enumerate(one.neighbors[: columns - 1], 1):
            place = (MARGIN + j * step, top + i * row_height)
            _draw_neighbor(page, *place, tile, near, nearest)
    page.paragraph(MARGIN, bottom, width, note)
    return page.figure


def _tile(num_queries: int, columns: int) -> float:
    """Side of an image in inches; larger for few queries, up to the usual width of a figure."""
    if num_queries > FEW_QUERIES:
        return TILE
    return min(max((WIDTH - 2 * MARGIN + GAP) / columns - GAP, TILE), LARGE_TILE)


def _draw_query(page: Page, x: float, y: float, tile: float, query: Neighbors) -> None:
    axes = page.panel(x, y, tile, tile)
    if query.pixels is not None:
        axes.imshow(query.pixels)
    _text_below(page, x, y + tile, tile, _query_lines(query), INK, bold=True)


def _query_lines(found: Neighbors) -> list[str]:
    """The query's class, what it is predicted as, and its name."""
    top = found.prediction
    predicted, chance = (top.label, percent(top.probability)) if top else ("", "")
    if found.label in (None, predicted):
        middle = f"predicted, {chance}"
    else:
        middle = f"predicted {predicted} {chance}"
    return [found.label or predicted, middle, _file_name(found.image)]


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _draw_neighbor(
    page: Page, x: float, y: float, tile: float, neighbor: Neighbor, nearest: NearestImages
) -> None:
    """Draw an image in a frame that shows whether its class is right; class and distance below.

    A wrong class has a cross, too, since not everyone tells colors apart.
    """
    axes = page.panel(x, y, tile, tile)
    axes.imshow(nearest.searched.store.image(neighbor.index))
    color = {True: BLUE, False: ORANGE, None: GRAY}[neighbor.is_match]
    axes.spines[:].set(visible=True, color=color, linewidth=FRAME)
    mark = "✗ " if neighbor.is_match is False else ""
    distance = f"{neighbor.distance:.3f}" if nearest.cosine else f"{neighbor.distance:.1f}"
    lines = [f"{mark}{neighbor.label}", "same image" if neighbor.is_same else distance]
    lines.append(_file_name(neighbor.image))
    _text_below(page, x, y + tile, tile, lines, color if mark else INK)


def _text_below(
    page: Page,
    x: float,
    y: float,
    tile: float,
    lines: Sequence[str],
    color: str,
    bold: bool = False,
) -> None:
    """Write lines below an image: the first in a color, the others small and gray."""
    columns = int(tile / COLUMN)
    first, *others = [short_label(drawable(line), columns) for line in lines]
    weight = "bold" if bold else "normal"
    middle = x + tile / 2
    page.text(middle, y + 0.06, first, SMALL + 0.5, color=color, weight=weight, ha="center")
    page.text(middle, y + 0.21, "\n".join(others), SMALL - 1, color="#555555", ha="center")


def _frames_text(shown: Sequence[Sequence[Neighbor]]) -> str:
    """A sentence on what the frames mean; "" if they mean nothing."""
    near = [neighbor for row in shown for neighbor in row]
    if not near or near[0].is_match is None:
        return ""
    count = sum(bool(one.is_match) for one in near)
    others = "" if count == len(near) else "; the others have an orange frame and ✗"
    return f"{count} of {len(near)} neighbors are of the query's class (blue frame){others}"


@styled
def map_figure(feature_map: FeatureMap, title: str = "") -> Figure:
    """The map as a figure: a color and a shape for each class, wrong predictions with a ring.

    Up to 24 classes have a legend; names of more classes are written at their points where they
    fit.
    """
    num_classes = len(feature_map.class_names)
    has_legend = num_classes <= MAX_LEGEND_CLASSES
    figure = new_figure(6.4, title or _map_title(feature_map), 8.6)
    axes = figure.subplots()
    axes.grid(visible=False)
    _draw_points(axes, feature_map, has_legend)
    _label_axes(axes, feature_map)
    if has_legend:
        _add_legend(axes, feature_map)
        add_note(figure, _right_text(feature_map))
    else:
        named = _place_names(figure, axes, feature_map)
        note = f"{named:,} of {num_classes:,} classes are named where they fit"
        add_note(figure, "; ".join(filter(None, [_right_text(feature_map), note])))
    return figure


def _map_title(feature_map: FeatureMap) -> str:
    kind = "PCA" if feature_map.method == "pca" else "UMAP"
    return run_title(f"Last hidden layer, {kind}", (feature_map.data, feature_map.split))


def _label_axes(axes: Axes, feature_map: FeatureMap) -> None:
    if feature_map.explained is None:
        axes.set(xticks=[], yticks=[])
        return
    names = ("first", "second")
    x, y = (
        f"{name} principal component ({percent(part)} of the variance)"
        for name, part in zip(names, feature_map.explained, strict=True)
    )
    axes.set(xlabel=x, ylabel=y, xticks=[], yticks=[])


def class_color(label: int, num_classes: int) -> object:
    """The color of a class: one of COLORS, or of more than 24 classes a hue."""
    if num_classes <= MAX_LEGEND_CLASSES:
        return COLORS[label % len(COLORS)]
    hue = label * 0.61803398875 % 1  # neighbors in the list of classes differ most
    return tuple(hsv_to_rgb((hue, 0.75, 0.55 + 0.3 * (label % 2))))


def _draw_points(axes: Axes, feature_map: FeatureMap, has_shapes: bool) -> None:
    count, num_classes = len(feature_map.names), len(feature_map.class_names)
    size = float(np.clip(16_000 / count, 3, 30))
    colors = np.array([class_color(label, num_classes) for label in range(num_classes)], object)
    shapes = MARKERS if has_shapes else MARKERS[:1]
    shape = feature_map.labels // len(COLORS) % len(shapes)
    for number, marker in enumerate(shapes):
        chosen = np.flatnonzero(shape == number)
        if len(chosen):
            x, y = feature_map.points[chosen].T
            color = list(colors[feature_map.labels[chosen]])
            axes.scatter(x, y, s=size, c=color, marker=marker, alpha=0.75, linewidths=0)
    if feature_map.is_right is not None:
        x, y = feature_map.points[~feature_map.is_right].T
        ring = float(np.clip(900 / count, 0.3, 0.9))
        axes.scatter(x, y, s=size * 2.6, c="none", edgecolors=INK, linewidths=ring, zorder=3)


def _add_legend(axes: Axes, feature_map: FeatureMap) -> None:
    labels = class_labels(feature_map.class_names, 22)
    shapes = [MARKERS[i // len(COLORS) % len(MARKERS)] for i in range(len(labels))]
    handles = [
        Line2D([], [], ls="", marker=shape, color=class_color(i, len(labels)), label=label)  # type: ignore[arg-type]
        for i, (shape, label) in enumerate(zip(shapes, labels, strict=True))
    ]
    if feature_map.is_right is not None and not feature_map.is_right.all():
        handles.append(
            Line2D([], [], ls="", marker="o", mfc="none", color=INK, ms=9, label="wrong prediction")
        )
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), handletextpad=0.2)


def _right_text(feature_map: FeatureMap) -> str:
    """The numbers of images and, if known, of right predictions, in words."""
    if feature_map.is_right is None:
        return f"{len(feature_map.names):,} images"
    right, count = int(feature_map.is_right.sum()), len(feature_map.names)
    rings = "" if right == count else "; rings: wrong predictions"
    return f"{right:,} of {count:,} images are predicted right ({percent(right / count, 1)}){rings}"


def _place_names(figure: Figure, axes: Axes, feature_map: FeatureMap) -> int:
    """Write class names at the medians of their points where they fit; return how many.

    Classes with most images come first.
    """
    labels, points = feature_map.labels, feature_map.points
    counts = np.bincount(labels, minlength=len(feature_map.class_names))
    names = class_labels(feature_map.class_names, 18)
    figure.draw_without_rendering()
    inside, taken = axes.get_window_extent(), list[Bbox]()
    spread = np.arange(len(counts)) * 0.61803398875 % 1  # of equal counts not just the first
    for label in np.lexsort((spread, -counts))[:MAX_PLACED_NAMES]:
        if not counts[label]:
            break
        x, y = np.median(points[labels == label], 0)
        text = axes.annotate(
            names[label], (x, y), ha="center", va="center", fontsize=SMALL, color=INK, zorder=4
        )
        text.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
        box = text.get_window_extent().padded(1)
        is_inside = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0
        if is_inside and box.y1 <= inside.y1 and not any(map(box.overlaps, taken)):
            taken.append(box)
        else:
            text.remove()
    return len(taken)
