"""The filters of the first layer as tiles, sorted by orientation and color."""

from __future__ import annotations

import colorsys
import math
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from alexnet.io.text import shell_command
from alexnet.plots.style import WIDTH, add_note, new_figure, styled

MIN_SMOOTHNESS = 0.25
"""Mean correlation of neighbouring weights below which filters look like noise."""
MIN_COLOR = 0.25
"""Minimum fraction of a colored filter's squared weights that differs from their gray mean."""


@styled
def filters(weight: Tensor, title: str = "", towers: int = 1) -> Figure:
    """Plot first-layer filters [out, in, k, k] as tiles, each scaled to its own range.

    The tiles are in color if `in` is 3, else they show the mean over `in`. Gray filters come
    first, sorted by the orientation of their edges, then colored ones by hue. A note below says if
    they show no structure.

    Args:
        weight: the weights of the layer, [out, in, k, k].
        title: the title of the figure.
        towers: number of equal parts of the channels that are shown and sorted separately.

    Source: Paper, figure 3, in which the towers are above each other.
    """
    parts = weight.chunk(towers)
    images = [_sorted_tiles(part) for part in parts]
    aspect = sum(image.shape[0] for image in images) / images[0].shape[1]
    problem = why_nothing_shows(weight)
    space = 0.35 * bool(title) + 0.25 * bool(problem) + 0.25 * towers * (towers > 1)
    figure = new_figure(WIDTH * aspect + space, title)
    for i, (axes, image) in enumerate(
        zip(figure.subplots(towers, squeeze=False).flat, images, strict=True)
    ):
        axes.imshow(image, interpolation="nearest")
        axes.axis("off")
        if towers > 1:
            first = i * len(parts[0])
            axes.set_title(f"tower {i + 1}: channels {first} to {first + len(parts[i]) - 1}")
    add_note(figure, problem and f"These filters show no structure: {problem}.")
    return figure


def _sorted_tiles(weight: Tensor) -> np.ndarray:
    """The sorted filters [out, in, k, k] as one image [h, w, 3] of tiles, 0 to 1."""
    tiles = to_numpy(weight)[filter_order(weight)].transpose(0, 2, 3, 1)
    if tiles.shape[3] != 3:
        tiles = np.repeat(tiles.mean(3, keepdims=True), 3, axis=3)
    low, high = tiles.min((1, 2, 3), keepdims=True), tiles.max((1, 2, 3), keepdims=True)
    return mosaic((tiles - low) / np.maximum(high - low, 1e-12))


def mosaic(tiles: np.ndarray) -> np.ndarray:
    """Arrange tiles [N, k, k, 3] in rows, with one white pixel between them."""
    count, k, _, channels = tiles.shape
    columns = num_columns(count)
    rows = math.ceil(count / columns)
    canvas = np.ones((rows, columns, k + 1, k + 1, channels), tiles.dtype)
    for i, tile in enumerate(tiles):
        canvas[divmod(i, columns)][:k, :k] = tile
    image = canvas.transpose(0, 2, 1, 3, 4).reshape(rows * (k + 1), columns * (k + 1), channels)
    return image[:-1, :-1]


def num_columns(count: int) -> int:
    """The number of columns of a sheet of tiles: 12 for 48 tiles, 16 for 96.

    The sheet is about two to four times as wide as high. Of the numbers of columns for which it
    is, this is the one that leaves the fewest empty places in the last row; of equal ones the
    largest.
    """
    middle = math.sqrt(count * 2)
    near = range(max(1, round(middle * 0.8)), min(count, round(middle * 1.45)) + 1)
    return min(near, key=lambda columns: (-count % columns, -columns))


def smoothness(weight: Tensor) -> float:
    """The correlation of neighbouring weights of filters [out, in, k, k], -1 to 1; k is above 1.

    It is about 0 for noise, such as random initial weights.
    """
    w = to_numpy(weight).astype(np.float64)
    pairs = ((w[..., 1:], w[..., :-1]), (w[..., 1:, :], w[..., :-1, :]))
    norms = [math.sqrt((a**2).sum() * (b**2).sum()) for a, b in pairs]
    return float(
        np.mean([(a * b).sum() / max(n, 1e-30) for (a, b), n in zip(pairs, norms, strict=True)])
    )


def noise_note(weight: Tensor, path: Path) -> str:
    """A note on why these filters are not plotted; "" if they show structure.

    Args:
        weight: the filters [out, in, k, k].
        path: the path of their run or file, for the command in the note that plots them anyway.
    """
    problem = why_nothing_shows(weight)
    command = shell_command(["alexnet", "info", str(path), "--filters", "filters.png"])
    return problem and (
        f"no plot of the first layer's filters: {problem}; they are drawn by {command}"
    )


def why_nothing_shows(weight: Tensor) -> str:
    """The reason why filters [out, in, k, k] show no structure; "" if they do."""
    if weight.shape[-1] == 1:
        return "they have one pixel each"
    found = smoothness(weight)
    if found >= MIN_SMOOTHNESS:
        return ""
    return (
        "after too little training they look like noise, since neighbouring weights have a "
        f"correlation of {found:.2f}, below {MIN_SMOOTHNESS}"
    )


def filter_order(weight: Tensor) -> np.ndarray:
    """The indices that sort filters [out, in, k, k]: gray by orientation, then colored by hue."""
    w = to_numpy(weight).astype(np.float64)
    gray = w.mean(1)
    color = ((w - gray[:, None]) ** 2).sum((1, 2, 3)) / np.maximum((w**2).sum((1, 2, 3)), 1e-30)
    is_colored = (color > MIN_COLOR) & (w.shape[1] == 3)
    hues = 4 + np.array([_hue(one) for one in w])  # behind all orientations
    return np.argsort(np.where(is_colored, hues, orientations(gray)), kind="stable")


def orientations(images: np.ndarray) -> np.ndarray:
    """The dominant orientation of the edges in images [N, k, k], as an angle from 0 to pi.

    0 means horizontal stripes. It is computed from the structure tensor, the mean outer product of
    the gradient.
    """
    if images.shape[1] == 1:
        return np.zeros(len(images))
    down, across = np.gradient(images, axis=(1, 2))
    xx, yy, xy = (np.mean(p, (1, 2)) for p in (across**2, down**2, across * down))
    angles: np.ndarray = (np.pi / 2 + np.arctan2(2 * xy, xx - yy) / 2) % np.pi
    return angles


def _hue(weight: np.ndarray) -> float:
    """The hue, 0 to 1, of the most colorful pixel of a filter [in, k, k]; 0 unless `in` is 3."""
    if len(weight) != 3:
        return 0.0
    chroma = (weight - weight.mean(0)).reshape(3, -1)
    strongest = chroma[:, np.abs(chroma).sum(0).argmax()]
    return colorsys.rgb_to_hsv(*(strongest - strongest.min()).tolist())[0]


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Convert a tensor to a float32 array."""
    return tensor.detach().to("cpu", torch.float32).numpy()
