"""Image files below a folder."""

from __future__ import annotations

import errno
import os
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from alexnet.data.images import find
from alexnet.data.images.find import list_images, match_paths
from alexnet.errors import DataError
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


def test_many_images_take_hardly_more_memory_than_their_names(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number:04}.jpg").symlink_to("none.jpg")
        (tmp_path / f"{number:04}.png").touch()
    tracemalloc.start()
    paths = match_paths(str(tmp_path), Counter())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * sum(map(sys.getsizeof, paths))


def test_skipped_files_are_sorted_by_the_reason(tmp_path: Path) -> None:
    for name in ("a.txt", "b.csv", "c.md", ".d", "e.txt"):
        (tmp_path / name).touch()
    skipped: Counter[str] = Counter()
    list_images(tmp_path, skipped)
    assert list(skipped.items()) == [(".csv", 1), (".md", 1), (".txt", 2), ("hidden", 1)]


def test_a_failing_machine_hides_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))

    (tmp_path / "IMG_0001").write_bytes(b"x")
    monkeypatch.setattr(find, "kind_of_file", fail)
    with pytest.raises(DataError, match="IMG_0001' cannot be read now: "):
        list_images(tmp_path, Counter())
