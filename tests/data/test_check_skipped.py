"""`data check` names what is left out of a class, and what is odd about images that are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.data.check import Finding, check
from alexnet.data.datasets.folder import folder_source
from support.commands import Command
from support.hostile_images import encode

RNG = np.random.default_rng(3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten images, in two splits."""
    for i in range(20):
        path = tmp_path / "set" / ("train" if i % 4 < 2 else "test") / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8), "PNG"))
    return tmp_path / "set"


def skipped(folder: Path) -> list[Finding]:
    return [f for f in check(folder_source(folder)) if f.issue == "skipped"]


@pytest.mark.parametrize("name", ["x.svg", "x.ico", "x.TGA", "x.cr2", "x.xyz", "drawing", "x.mp4"])
def test_a_class_with_other_kinds_of_files_is_a_fault(folder: Path, name: str) -> None:
    (folder / "test" / "b" / name).write_bytes(b"x")
    (finding,) = skipped(folder)
    assert finding.is_fault
    assert finding.name == "b"
    assert finding.detail.startswith("1 of 11 files are skipped: ")


def test_a_fraction_below_the_limit_and_annotations_are_no_fault(folder: Path) -> None:
    for i in range(30):
        image = encode(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8), "PNG")
        (folder / "train" / "a" / f"more{i}.png").write_bytes(image)
    (folder / "train" / "a" / "x.svg").write_bytes(b"x")
    for i in range(10):
        (folder / "train" / "b" / f"{i}.xml").write_text("<a/>")
        (folder / "train" / "b" / f".{i}.svg").write_text("<a/>")
    assert skipped(folder) == []


def test_check_and_train_count_by_ending(command: Command, folder: Path) -> None:
    for name in ("1.svg", "2.svg", "x.txt"):
        (folder / "train" / "a" / name).write_bytes(b"x")
    result = command("data", "check", folder)
    assert result.code == 1
    assert "2 of 12 files are skipped: .svg 2; convert or remove them" in result.out
    assert "skipped: .svg 2, .txt 1" in result.out
    result = command("data", "prepare", folder, "--resize-size", 8)
    assert "skipped: .svg 2, .txt 1" in result.out


def test_images_without_an_ending_are_used(folder: Path) -> None:
    image = (folder / "train" / "a" / "0.png").read_bytes()
    names = ("IMG_0001", "photo 3.5", "Mr. Smith", "2024.05.03")
    for name in names:
        (folder / "train" / "a" / name).write_bytes(image)
    (folder / "train" / "a" / "README").write_text("text")
    source = folder_source(folder)
    assert {Path(name).name for name in source.names} >= set(names)
    assert source.skipped == {"not an image": 1}


def test_remarks_are_warnings(folder: Path) -> None:
    dark = RNG.integers(0, 4096, (8, 8), dtype=np.uint16)
    (folder / "train" / "a" / "dark.png").write_bytes(encode(dark, "PNG"))
    (finding,) = [f for f in check(folder_source(folder)) if f.issue == "remark"]
    assert (finding.name, finding.is_fault) == ("train/a/dark.png", False)
    assert "12 bits in 16" in finding.detail
