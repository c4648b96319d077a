"""Image files below a folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from alexnet.data.images.find import list_images
from support.drawing import draw_all


def test_images_below_are_sorted_by_their_whole_path(tmp_path: Path) -> None:
    draw_all(tmp_path, "z.png", "b/1.png", "a/2.png", "a.png", "b-c/1.png")
    assert list_images(tmp_path, Counter()) == [
        "a.png",
        "a/2.png",
        "b-c/1.png",
        "b/1.png",
        "z.png",
    ]
