"""The built-in data set: an image depends on the seed; classes differ by form, not by colour."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.datasets.toyflowers import dataset as toyflowers
from alexnet.errors import DataError
from alexnet.reporter import ProgressCallback, ignore_progress

SIDE = 48
COUNTS = {"train": 2, "val": 1, "test": 1}
SPECIES = range(len(toyflowers.CLASS_NAMES))


def write_small(folder: Path, seed: int = 0, on_paint: ProgressCallback = ignore_progress) -> None:
    toyflowers.write(
        folder,
        seed=seed,
        train_per_class=COUNTS["train"],
        val_per_class=COUNTS["val"],
        test_per_class=COUNTS["test"],
        side=SIDE,
        on_paint=on_paint,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file by its path relative to `folder`."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def mean_colors(seeds: range) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean colours [N, 3] and species [N] of one image per species and seed."""
    pairs = [(species, seed) for species in SPECIES for seed in seeds]
    means = [np.asarray(toyflowers.paint(*pair, SIDE)).mean((0, 1)) for pair in pairs]
    return np.array(means), np.array([species for species, _ in pairs])


def nearest_accuracy(
    known: NDArray[np.float64],
    labels: NDArray[np.int64],
    queries: NDArray[np.float64],
    truth: NDArray[np.int64],
) -> float:
    """Accuracy of the nearest of `known` [N, 3] as a classifier of `queries` [M, 3]."""
    distances = ((queries[:, None] - known[None]) ** 2).sum(-1)
    return float((labels[distances.argmin(1)] == truth).mean())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "toyflowers"
    write_small(folder)
    return folder


def test_there_are_twelve_classes_in_the_order_of_their_folders() -> None:
    assert len(set(toyflowers.CLASS_NAMES)) == 12
    assert list(toyflowers.CLASS_NAMES) == sorted(toyflowers.CLASS_NAMES)


@pytest.mark.parametrize("species", SPECIES, ids=toyflowers.CLASS_NAMES)
def test_an_image_is_a_function_of_species_and_seed(species: int) -> None:
    image = toyflowers.paint(species, 5, SIDE)
    assert image.mode == "RGB"
    assert image.size == (SIDE, SIDE)
    assert image.tobytes() == toyflowers.paint(species, 5, SIDE).tobytes()
    assert image.tobytes() != toyflowers.paint(species, 6, SIDE).tobytes()
    assert image.tobytes() != toyflowers.paint((species + 1) % 12, 5, SIDE).tobytes()


def test_the_default_image_is_160_pixels_wide_and_not_of_one_colour() -> None:
    image = toyflowers.paint(0, 0)
    assert image.size == (160, 160)
    assert np.asarray(image).std() > 10


@pytest.mark.slow
def test_mean_color_does_not_separate_the_classes() -> None:
    known, labels = mean_colors(range(6))
    queries, truth = mean_colors(range(100, 104))
    centers = np.stack([known[labels == species].mean(0) for species in SPECIES])
    assert nearest_accuracy(centers, np.arange(len(centers)), queries, truth) < 0.25
    assert nearest_accuracy(known, labels, queries, truth) < 0.25


@pytest.mark.slow
def test_write_lays_out_splits_classes_and_images(written: Path) -> None:
    files = contents(written)
    found = Counter(tuple(name.split("/")[:2]) for name in files)
    assert found == {(s, c): COUNTS[s] for s in COUNTS for c in toyflowers.CLASS_NAMES}
    assert "train/rose/0001.jpg" in files
    assert [path.name for path in written.parent.iterdir()] == ["toyflowers"]


def test_written_images_decode_and_none_is_in_two_splits(written: Path) -> None:
    for path in written.rglob("*.jpg"):
        with Image.open(path) as image:
            image.load()
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIDE,) * 2)
    files = contents(written)
    assert len(set(files.values())) == len(files)


@pytest.mark.slow
def test_the_same_seed_writes_the_same_bytes_and_another_seed_none_of_them(
    written: Path, tmp_path: Path
) -> None:
    write_small(tmp_path / "again")
    write_small(tmp_path / "other", seed=1)
    assert contents(tmp_path / "again") == contents(written)
    assert not set(contents(tmp_path / "other").values()) & set(contents(written).values())


@pytest.mark.slow
def test_a_failure_midway_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint = toyflowers.paint

    def fail_on_the_last_species(species_index: int, seed: int, side: int = 160) -> Image.Image:
        if species_index == len(toyflowers.CLASS_NAMES) - 1:
            raise OSError("no space left on device")
        return paint(species_index, seed, side)

    monkeypatch.setattr(toyflowers, "paint", fail_on_the_last_species)
    with pytest.raises(OSError, match="no space left"):
        write_small(tmp_path / "toyflowers")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_several_processes_paint_the_same_bytes(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toyflowers, "IMAGES_PER_PROCESS", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    told: list[tuple[int, int]] = []
    write_small(tmp_path / "toyflowers", on_paint=lambda *numbers: told.append(numbers))
    assert contents(tmp_path / "toyflowers") == contents(written)
    assert told[-1] == (48, 48)
    assert sorted(told) == told


def test_a_process_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toyflowers, "IMAGES_PER_PROCESS", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with pytest.raises(DataError, match=r"cannot be painted: ValueError: .*must be > 0"):
        toyflowers.write(tmp_path / "toyflowers", side=0)
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_ends_the_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toyflowers, "IMAGES_PER_PROCESS", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))
        return started[-1]

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(toyflowers.subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        toyflowers.write(tmp_path / "toyflowers", on_paint=interrupt)
    assert [process.poll() for process in started] == [-signal.SIGKILL] * 2
    assert list(tmp_path.iterdir()) == []


def test_write_rejects_a_folder_that_exists(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="exists already"):
        write_small(tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"keep"}
