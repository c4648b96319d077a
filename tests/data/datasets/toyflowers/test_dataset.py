"""The drawn data set: the same picture for the same seed, told apart by form and not by colour."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.datasets.toyflowers import dataset as toyflowers
from alexnet.errors import DataError

PIXELS = 48
COUNTS = {"train": 2, "val": 1, "test": 1}
KINDS = range(len(toyflowers.CLASSES))


def write_small(folder: Path, seed: int = 0) -> None:
    toyflowers.write(
        folder,
        seed=seed,
        train_per_class=COUNTS["train"],
        val_per_class=COUNTS["val"],
        test_per_class=COUNTS["test"],
        pixels=PIXELS,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file by its path relative to `folder`."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def mean_colours(seeds: range) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean colours [N, 3] and kinds [N] of one picture per kind and seed."""
    pairs = [(kind, seed) for kind in KINDS for seed in seeds]
    means = [np.asarray(toyflowers.draw(*pair, PIXELS)).mean((0, 1)) for pair in pairs]
    return np.array(means), np.array([kind for kind, _ in pairs])


def nearest_accuracy(
    known: NDArray[np.float64],
    kinds: NDArray[np.int64],
    asked: NDArray[np.float64],
    truth: NDArray[np.int64],
) -> float:
    """Share of `asked` [M, 3] whose nearest row of `known` [N, 3] is of their kind."""
    distances = ((asked[:, None] - known[None]) ** 2).sum(-1)
    return float((kinds[distances.argmin(1)] == truth).mean())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "toyflowers"
    write_small(folder)
    return folder


def test_there_are_twelve_classes_in_the_order_of_their_folders() -> None:
    assert len(set(toyflowers.CLASSES)) == 12
    assert list(toyflowers.CLASSES) == sorted(toyflowers.CLASSES)


@pytest.mark.parametrize("kind", KINDS, ids=toyflowers.CLASSES)
def test_a_picture_is_a_function_of_kind_and_seed(kind: int) -> None:
    picture = toyflowers.draw(kind, 5, PIXELS)
    assert picture.mode == "RGB"
    assert picture.size == (PIXELS, PIXELS)
    assert picture.tobytes() == toyflowers.draw(kind, 5, PIXELS).tobytes()
    assert picture.tobytes() != toyflowers.draw(kind, 6, PIXELS).tobytes()
    assert picture.tobytes() != toyflowers.draw((kind + 1) % 12, 5, PIXELS).tobytes()


def test_the_default_picture_is_160_pixels_wide_and_not_flat() -> None:
    picture = toyflowers.draw(0, 0)
    assert picture.size == (160, 160)
    assert np.asarray(picture).std() > 10


def test_mean_colour_does_not_tell_the_classes_apart() -> None:
    known, kinds = mean_colours(range(9))
    asked, truth = mean_colours(range(100, 106))
    centres = np.stack([known[kinds == kind].mean(0) for kind in KINDS])
    assert nearest_accuracy(centres, np.arange(len(centres)), asked, truth) < 0.25
    assert nearest_accuracy(known, kinds, asked, truth) < 0.25


def test_write_lays_out_splits_classes_and_pictures(written: Path) -> None:
    files = contents(written)
    found = Counter(tuple(name.split("/")[:2]) for name in files)
    assert found == {(s, c): COUNTS[s] for s in COUNTS for c in toyflowers.CLASSES}
    assert "train/rose/0001.jpg" in files
    assert [path.name for path in written.parent.iterdir()] == ["toyflowers"]


def test_written_pictures_decode_and_none_is_in_two_splits(written: Path) -> None:
    for path in written.rglob("*.jpg"):
        with Image.open(path) as picture:
            picture.load()
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (PIXELS,) * 2)
    files = contents(written)
    assert len(set(files.values())) == len(files)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_none_of_them(
    written: Path, tmp_path: Path
) -> None:
    write_small(tmp_path / "again")
    write_small(tmp_path / "other", seed=1)
    assert contents(tmp_path / "again") == contents(written)
    assert not set(contents(tmp_path / "other").values()) & set(contents(written).values())


def test_a_failure_midway_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = toyflowers.draw

    def fail_on_the_last_kind(kind_index: int, seed: int, pixels: int = 160) -> Image.Image:
        if kind_index == len(toyflowers.CLASSES) - 1:
            raise OSError("no space left on device")
        return draw(kind_index, seed, pixels)

    monkeypatch.setattr(toyflowers, "draw", fail_on_the_last_kind)
    with pytest.raises(OSError, match="no space left"):
        write_small(tmp_path / "toyflowers")
    assert list(tmp_path.iterdir()) == []


def test_write_refuses_a_folder_that_exists(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="exists already"):
        write_small(tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"keep"}
