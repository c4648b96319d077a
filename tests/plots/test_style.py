"""The style of all plots, and how figures are saved."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from alexnet import plots
from alexnet.errors import UsageError
from support.slow import first_fast

DEUTERANOPIA = np.array([
    [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
])  # fmt: skip
"""On linear RGB. Source: Machado, Oliveira and Fernandes 2009."""
PROTANOPIA = np.array([
    [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
])  # fmt: skip


def perceived(color: str, vision: np.ndarray) -> np.ndarray:
    """Lightness and chroma (CIE Lab) of a color as a color-blind reader sees it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    x, y, z = (
        np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        @ np.clip(vision @ linear, 0, 1)
        / [0.9505, 1, 1.089]
    )
    fx, fy, fz = np.cbrt([x, y, z])
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("vision", [np.eye(3), DEUTERANOPIA, PROTANOPIA])
def test_color_blind_readers_can_tell_the_colors_apart(vision: np.ndarray) -> None:
    for a, b in combinations(plots.COLORS, 2):
        assert np.linalg.norm(perceived(a, vision) - perceived(b, vision)) > 10, (a, b)


def test_titles_name_what_is_known_on_lines_that_fit() -> None:
    assert plots.run_title("Confusion", ("", "", "")) == "Confusion"
    assert plots.run_title("Confusion", ("run", "", "net")) == "Confusion: run · net"
    first, second = plots.run_title("Confusion", ("a" * 99, "b" * 99, "c" * 99)).split("\n")
    assert first == "Confusion"
    assert len(second) <= 72


@plots.styled
def line_plot() -> Figure:
    """A figure without images."""
    figure = plots.new_figure(1, "$a_b")
    figure.subplots().plot([1, 2])
    return figure


@plots.styled
def image_plot() -> Figure:
    """A figure with an image."""
    figure = plots.new_figure(1)
    figure.subplots().imshow(np.eye(2))
    return figure


def test_the_style_ends_with_the_figure() -> None:
    before = mpl.rcParams.copy()
    line_plot()
    assert {k: v for k, v in mpl.rcParams.items() if before[k] != v}.keys() <= {"backend"}


def test_an_svg_lies_beside_a_png_unless_it_is_of_images(tmp_path: Path) -> None:
    plots.save_plot(line_plot, tmp_path / "line.png")
    plots.save_plot(image_plot, tmp_path / "image.png")
    plots.save(line_plot(), tmp_path / "alone.svg")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"line.png", "line.svg", "image.png", "alone.svg"}
    assert (tmp_path / "line.svg").read_bytes() == (tmp_path / "alone.svg").read_bytes()
    with Image.open(tmp_path / "line.png") as image:
        assert image.width == pytest.approx(plots.WIDTH * 130, rel=0.05)


@pytest.mark.parametrize("file_format", first_fast(["svg", "png", "pdf"]))
def test_the_same_figure_gives_the_same_bytes(file_format: str) -> None:
    first, second = (plots.figure_bytes(line_plot(), file_format) for _ in range(2))
    assert first == second
    assert len(first) > 1000


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in one of \.png"):
        plots.save(line_plot(), tmp_path / "plot.gif")
    assert not list(tmp_path.iterdir())


def test_a_logarithmic_scale_has_plain_numbers() -> None:
    @plots.styled
    def draw() -> Figure:
        figure = plots.new_figure(2)
        axes = figure.subplots()
        axes.plot([0.001, 1], [1, 2])
        plots.use_log_scale(axes, "x")
        return figure

    figure = draw()
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert {"0.001", "0.01", "0.1", "1"} <= set(labels)
