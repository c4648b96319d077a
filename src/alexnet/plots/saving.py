"""How a figure is saved."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import matplotlib as mpl
from matplotlib.figure import Figure

from alexnet.errors import UsageError
from alexnet.io.files import atomic_write
from alexnet.io.paths import FilePath, path_text
from alexnet.plots.style import STYLE

FIGURE_FORMATS = ("png", "jpg", "jpeg", "pdf", "svg")


def save(figure: Figure, path: FilePath) -> None:
    """Write a figure atomically, in the format of the path's suffix.

    An .svg is written beside a .png, unless the figure has images.

    Raises:
        UsageError: the suffix is not one of FIGURE_FORMATS, or no file can have this path.
    """
    path = Path(path_text(path))
    suffix = figure_format(path)
    if suffix == "png" and not any(axes.images for axes in figure.axes):
        _write(path.with_suffix(".svg"), figure_bytes(figure, "svg"))
    _write(path, figure_bytes(figure, suffix))


def figure_format(path: Path) -> str:
    """The format of a figure's file, from its suffix.

    Raises:
        UsageError: the suffix is not one of FIGURE_FORMATS.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in FIGURE_FORMATS:
        raise UsageError(f"{path} must end in one of .{', .'.join(FIGURE_FORMATS)}")
    return suffix


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as temp:
        temp.write_bytes(data)


def figure_bytes(figure: Figure, file_format: str = "png", dpi: float | None = None) -> bytes:
    """Encode a figure in one of FIGURE_FORMATS; the same figure gives the same bytes.

    Args:
        figure: the figure.
        file_format: the format, one of FIGURE_FORMATS.
        dpi: pixels per inch; None: those of STYLE.
    """
    file = io.BytesIO()
    dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # of a figure that is not `styled`
        figure.savefig(
            file,
            format=file_format,
            bbox_inches="tight",
            metadata=dated.get(file_format),
            dpi=dpi or mpl.rcParams["savefig.dpi"],
        )
    return file.getvalue()


SavePlot: TypeAlias = Callable[[Callable[[], Figure], Path], None]
"""A function that calls its first argument to draw a figure, and writes that to the path."""


def save_plot(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it (`save`)."""
    save(draw(), path)
