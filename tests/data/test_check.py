"""What `alexnet data check` finds, on images made wrong on purpose."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.check import Finding, check
from alexnet.data.datasets.folder import folder_source
from support.hostile_images import COLORS, encode


def noise(path: Path, seed: int, side: int = 80, kind: str | None = None) -> None:
    """An image of noise, in the format of its suffix or another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, kind)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, train and test, with nothing wrong."""
    seed = 0
    for split, count in (("train", 5), ("test", 2)):
        for name in ("a", "b"):
            for i in range(count):
                seed += 1
                noise(tmp_path / "set" / split / name / f"{i}.png", seed)
    return tmp_path / "set"


def findings(folder: Path) -> list[Finding]:
    """What is wrong with a folder."""
    return check(folder_source(folder))


def the_one(folder: Path) -> tuple[str, str, bool]:
    """Kind, name and fault of the only finding."""
    (finding,) = findings(folder)
    return finding.issue, finding.name, finding.is_fault


def test_nothing_is_wrong(folder: Path) -> None:
    assert findings(folder) == []


def test_unreadable(folder: Path) -> None:
    (folder / "train" / "a" / "2.png").write_bytes(b"no image")
    assert the_one(folder) == ("unreadable", "train/a/2.png", True)
    whole = (folder / "train" / "a" / "1.png").read_bytes()
    (folder / "train" / "a" / "2.png").write_bytes(whole[: len(whole) // 2])
    assert the_one(folder) == ("unreadable", "train/a/2.png", True)


def test_another_format_than_its_name_says(folder: Path) -> None:
    noise(folder / "train" / "a" / "x.jpg", 99, kind="PNG")
    assert the_one(folder) == ("format", "train/a/x.jpg", False)
    assert findings(folder)[0].detail == "is a PNG file"
    (folder / "train" / "a" / "x.jpg").unlink()
    noise(folder / "train" / "a" / "x.JPEG", 99)
    assert findings(folder) == []


def test_small_among_large_ones_and_not_among_small_ones(folder: Path, tmp_path: Path) -> None:
    noise(folder / "train" / "a" / "x.png", 99, side=63)
    assert the_one(folder) == ("small", "train/a/x.png", False)
    assert "63 pixels" in findings(folder)[0].detail
    for i in range(6):
        noise(tmp_path / "small" / "ab"[i % 2] / f"{i}.png", i, side=32)
    assert findings(tmp_path / "small") == []


@pytest.mark.parametrize(
    ("copy", "kind", "is_fault"),
    [
        ("train/a/x.png", "duplicate", False),
        ("test/a/x.png", "duplicate_across_splits", True),
        ("train/b/x.png", "duplicate_across_classes", True),
    ],
)
def test_duplicates(folder: Path, copy: str, kind: str, is_fault: bool) -> None:
    shutil.copy(folder / "train" / "a" / "0.png", folder / copy)
    (finding,) = findings(folder)
    assert (finding.issue, finding.is_fault) == (kind, is_fault)
    other = finding.detail.removeprefix("looks exactly like ")
    assert {finding.name, other} == {"train/a/0.png", copy}


def test_a_duplicate_in_another_format_is_found(folder: Path) -> None:
    with Image.open(folder / "train" / "a" / "0.png") as image:
        image.save(folder / "test" / "a" / "x.bmp")
    assert the_one(folder)[0] == "duplicate_across_splits"


def test_imbalance(folder: Path) -> None:
    for i in range(1):
        noise(folder / "train" / "rare" / f"{i}.png", 50 + i)
    imbalance, missing = findings(folder)
    assert (imbalance.issue, imbalance.name) == ("imbalance", "rare")
    assert imbalance.detail.startswith("1 image")
    assert "7" in imbalance.detail
    assert (missing.issue, missing.name, missing.is_fault) == ("no_test_images", "rare", False)


def test_a_class_without_training_images_is_a_fault(folder: Path) -> None:
    for i in range(3):
        noise(folder / "test" / "new" / f"{i}.png", 60 + i)
    missing = next(found for found in findings(folder) if found.issue == "no_train_images")
    assert (missing.name, missing.is_fault) == ("new", True)


def test_faults_come_first_and_progress_reaches_the_end(folder: Path) -> None:
    noise(folder / "train" / "a" / "0a.png", 99, side=20)
    (folder / "train" / "b" / "4.png").write_bytes(b"")
    calls: list[tuple[int, int]] = []
    found = check(folder_source(folder), lambda *n: calls.append(n))
    assert [finding.issue for finding in found] == ["unreadable", "small"]
    assert calls[-1] == (15, 15)


def test_duplicates_without_splits(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(encode(COLORS + name.count("b"), "PNG"))
    finding = check(folder_source(tmp_path / "set"))[0]
    assert (finding.issue, finding.is_fault) == ("duplicate", False)
    assert finding.detail == "looks exactly like a/2.png", "they stay together in training"


def test_a_group_of_copies_is_one_finding(folder: Path) -> None:
    for i in range(5):
        shutil.copy(folder / "train" / "a" / "0.png", folder / "train" / "a" / f"x{i}.png")
    shutil.copy(folder / "train" / "a" / "0.png", folder / "test" / "a" / "y.png")
    (finding,) = findings(folder)
    assert finding.issue == "duplicate_across_splits"
    assert len(finding.images) == 7
    assert finding.name == finding.images[0]
    shown = ", ".join(finding.images[1:4])
    assert finding.detail == f"6 others look exactly like it: {shown} and 3 more"
