"""Draw attribution maps on the whole image."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from alexnet.explain.blur import gaussian_blur
from alexnet.explain.explanation import Explanation

TITLES = {
    "grad_cam": "Grad-CAM",
    "occlusion": "Occlusion",
    "integrated_gradients": "Integrated gradients",
    "guided_backprop": "Guided backpropagation",
}
LUMA = (0.299, 0.587, 0.114)
SMOOTHING = {"occlusion": 1 / 40, "integrated_gradients": 1 / 120}
"""Standard deviation of the blur with which a map is drawn, as a fraction of the input's side."""
PERCENTILE = 99.5
"""Percentile of a map's absolute values that gets the strongest color."""
MAX_VIEW = 2.2
"""Greatest width and height of the part shown in a map's panel, in sides of the input."""
CONTOUR = 0.5
"""Level of the contour, as a fraction of Grad-CAM's highest value."""


def draw_whole_image(axes: Axes, e: Explanation) -> None:
    """Draw the upright image, pale outside of the network's input."""
    axes.imshow(e.original)
    _show_window(axes, e, pale=0.6)


def draw_map(axes: Axes, e: Explanation, method: str) -> None:
    """Draw one map on the image; on a very wide or tall image, only the part around the input."""
    if method == "grad_cam":
        _draw_heat(axes, e)
    elif method == "guided_backprop":
        _draw_edges(axes, e)
    else:
        _draw_signed(axes, e, method)
    left, right, bottom, top = _extent(e)
    axes.set(
        xlim=_around(left, right, axes.get_xlim()), ylim=_around(top, bottom, axes.get_ylim()[::-1])
    )
    axes.yaxis.set_inverted(True)


def _around(start: float, end: float, limits: tuple[float, float]) -> tuple[float, float]:
    """The limits of an axis, at most MAX_VIEW times as far apart as the input's edges."""
    beside = (end - start) * (MAX_VIEW - 1) / 2
    return max(limits[0], start - beside), min(limits[1], end + beside)


def _draw_heat(axes: Axes, e: Explanation) -> None:
    values = e.maps["grad_cam"]
    high = values.max()
    axes.imshow(e.original)
    shares = values / high if high > 0 else values
    colors = mpl.colormaps["inferno"](0.15 + 0.85 * shares)
    colors[..., 3] = 0.62
    axes.imshow(colors, extent=_extent(e), interpolation="bilinear")
    if high > 0:
        axes.contour(
            shares, [CONTOUR], extent=_extent(e), origin="upper", colors="white", linewidths=1.2
        )
    _show_window(axes, e, pale=0.75)


def _draw_signed(axes: Axes, e: Explanation, method: str) -> None:
    """Draw a signed map: red supports the class, blue opposes it."""
    values = _smooth(e.maps[method], SMOOTHING[method] * e.maps[method].shape[1])
    high = float(np.percentile(np.abs(values), PERCENTILE)) or 1.0
    strength = np.clip(values / high, -1, 1)
    colors = mpl.colormaps["RdBu_r"](0.5 + 0.5 * strength)
    colors[..., 3] = np.abs(strength) ** 0.7 * 0.9
    axes.imshow(_pale_gray(e.original), cmap="gray", vmin=0, vmax=255)
    axes.imshow(colors, extent=_extent(e), interpolation="nearest")
    _show_window(axes, e, pale=0.6)


def _smooth(values: np.ndarray, std: float) -> np.ndarray:
    """A map [H, W] after a Gaussian blur; `std` in pixels."""
    blurred = gaussian_blur(torch.from_numpy(values)[None, None], max(std, 0.3))
    smooth: np.ndarray = blurred[0, 0].numpy()
    return smooth


def _draw_edges(axes: Axes, e: Explanation) -> None:
    values = e.maps["guided_backprop"]
    high = float(np.percentile(values, PERCENTILE)) or 1.0
    axes.imshow(_pale_gray(e.original), cmap="gray", vmin=0, vmax=255, alpha=0)
    axes.imshow(values, cmap="Greys", vmin=0, vmax=high, extent=_extent(e))
    _show_window(axes, e, pale=0.6)


def _pale_gray(rgb: np.ndarray) -> np.ndarray:
    """The image in pale gray, float [h, w] of 160 to 255, on which colors can be seen."""
    gray: np.ndarray = 160 + 95 / 255 * (rgb @ np.array(LUMA))
    return gray


def _extent(e: Explanation) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the network's input in pixels of the image that is drawn."""
    height, width = e.original.shape[:2]
    w = e.window
    return (
        w.left * width - 0.5,
        w.right * width - 0.5,
        w.bottom * height - 0.5,
        w.top * height - 0.5,
    )


def _show_window(axes: Axes, e: Explanation, pale: float) -> None:
    """Make the image pale outside of the network's input, and draw a thin frame around that."""
    height, width = e.original.shape[:2]
    left, right, bottom, top = _extent(e)
    start_x, start_y, end_x, end_y = -0.5, -0.5, width - 0.5, height - 0.5
    outside = (
        (start_x, start_y, left, end_y),
        (right, start_y, end_x, end_y),
        (left, start_y, right, top),
        (left, bottom, right, end_y),
    )
    for x0, y0, x1, y1 in outside:
        axes.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, facecolor="white", alpha=pale, linewidth=0)
        )
    frame = Rectangle((left, top), right - left, bottom - top, fill=False)
    frame.set(edgecolor="#444444", linewidth=0.8)
    axes.add_patch(frame)
    axes.set(
        xlim=(min(start_x, left), max(end_x, right)), ylim=(max(end_y, bottom), min(start_y, top))
    )
    axes.set_aspect("equal", anchor="NW")


def _grad_cam_caption(e: Explanation) -> str:
    if not e.maps["grad_cam"].any():
        return f"Nothing in {e.layer} speaks for the class."
    return f"Where {e.layer} speaks for the class; the line is at half of the highest value."


def _occlusion_caption(e: Explanation) -> str:
    drop = float(e.maps["occlusion"].max())
    side = e.occlusion_window
    return (
        f"A gray square of {side} x {side} pixels over the reddest part lowers the probability by "
        f"{100 * drop:.1f} points; blue: it rises."
    )


def _gradients_caption(e: Explanation) -> str:
    return "What pixels add to the class's logit (red) or take from it (blue), slightly blurred."


def _edges_caption(e: Explanation) -> str:
    return "Edges that the network uses. It hardly depends on the class: trust the other maps."


CAPTIONS: dict[str, Callable[[Explanation], str]] = {
    "grad_cam": _grad_cam_caption,
    "occlusion": _occlusion_caption,
    "integrated_gradients": _gradients_caption,
    "guided_backprop": _edges_caption,
}
"""Functions that give the caption of a map, by method."""
