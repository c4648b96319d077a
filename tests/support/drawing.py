"""Small image files."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def draw(path: Path) -> None:
    """Write an image of 4 x 3 red pixels, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (200, 30, 30)).save(path)


def draw_all(folder: Path, *names: str) -> None:
    """`draw` for several names below a folder."""
    for name in names:
        draw(folder / name)
