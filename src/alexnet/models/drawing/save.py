"""The file of a drawing."""

from __future__ import annotations

from pathlib import Path

from alexnet.errors import UsageError
from alexnet.io.files import atomic_write, write_text
from alexnet.models.architecture import Architecture
from alexnet.models.drawing.network import draw_network

FORMATS = ("svg", "png", "pdf", "jpg", "jpeg")
DOTS_PER_INCH = 144


def save_drawing(net: Architecture, path: Path) -> None:
    """Draw a network to scale, as in the paper's figure 2, in the format of the path's suffix.

    Raises:
        UsageError: the suffix is not one of FORMATS.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise UsageError(f"{path} must end in one of .{', .'.join(FORMATS)}")
    drawing = draw_network(net)
    if suffix == "svg":
        write_text(path, drawing.svg())
        return
    from alexnet.models.drawing.figure import figure_of

    with atomic_write(path) as temporary:
        figure_of(drawing).savefig(temporary, format=suffix, dpi=DOTS_PER_INCH)
