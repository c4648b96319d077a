"""Copies that were resized, compressed again or mirrored, and images that are alike by chance."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from alexnet.data import near_duplicates as module
from alexnet.data.check import check
from alexnet.data.datasets.folder import folder_source
from alexnet.data.near_duplicates import NearDuplicate, joined, near_duplicates


def painting(seed: int) -> Image.Image:
    """Some ellipses of 240 x 180, as large as the things on a photo are."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (240, 180), tuple(random.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y, r = random.integers(0, 240), random.integers(0, 180), random.integers(15, 70)
        color = tuple(random.integers(0, 256, 3).tolist())
        draw.ellipse((x - r, y - r, x + r, y + r), fill=color)
    return image


def thumbnails(count: int) -> np.ndarray:
    """Of smooth noise, as photos have it: uint8 [count, 16, 16, 3]."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of eight paintings, of which test/b/7.jpg is another one."""
    for seed in range(16):
        path = tmp_path / "set" / ("test" if seed % 8 == 7 else "train") / "ab"[seed // 8]
        path.mkdir(parents=True, exist_ok=True)
        painting(seed).save(path / f"{seed % 8}.jpg", quality=90)
    return tmp_path / "set"


def issues(folder: Path) -> list[tuple[str, str, bool]]:
    return [(one.issue, one.detail, one.is_fault) for one in check(folder_source(folder))]


def test_different_images_are_none(folder: Path) -> None:
    assert issues(folder) == []


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (ImageOps.mirror, "mirrored"),
        (lambda image: ImageOps.mirror(image).resize((120, 90)), "mirrored"),
        (lambda image: image.resize((100, 80)), "resized or compressed again"),
        (lambda image: image.crop((2, 2, 238, 178)), "resized or compressed again"),
    ],
)
@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("test/a", "near_duplicate_across_splits"),
        ("train/b", "near_duplicate_across_classes"),
        ("train/a", "near_duplicate"),
    ],
)
def test_copies(folder: Path, change: object, how: str, place: str, kind: str) -> None:
    copy = change(painting(3))  # type: ignore[operator]
    copy.save(folder / place / "x.jpg", quality=60)
    ((issue, detail, is_fault),) = issues(folder)
    assert (issue, is_fault) == (kind, False)
    assert detail.endswith(how)
    assert "3.jpg" in detail or "x.jpg" in detail


def test_an_exact_copy_is_told_once(folder: Path) -> None:
    content = (folder / "train" / "a" / "3.jpg").read_bytes()
    (folder / "train" / "a" / "x.jpg").write_bytes(content)
    ImageOps.mirror(painting(3)).save(folder / "train" / "a" / "y.jpg")
    assert [issue for issue, _, _ in issues(folder)] == ["duplicate", "near_duplicate"]


def test_near_copies_are_one_finding(folder: Path) -> None:
    """Also those that are near to a copy only: 0 to 1, 1 to 2, and 0 to 4 mirrored."""
    pairs = [(1, 0, False), (2, 1, False), (4, 0, True), (6, 5, False)]
    groups = joined([NearDuplicate(*pair) for pair in pairs])
    assert [[one.copy for one in group] for group in groups] == [[1, 2, 4], [6]]
    small, mirrored = painting(3).resize((120, 90)), ImageOps.mirror(painting(3))
    small.save(folder / "train" / "a" / "x.jpg")
    mirrored.save(folder / "train" / "a" / "y.jpg")
    (finding,) = check(replace(folder_source(folder), splits=("",) * 18))
    assert finding.images == tuple(f"train/a/{name}.jpg" for name in "3xy")
    assert finding.detail == (
        "2 others look like it: train/a/x.jpg, train/a/y.jpg, resized or compressed again or "
        "mirrored; a random split may part them"
    )


def test_plain_images_have_nothing_to_be_recognized_by() -> None:
    plain = np.full((5, 16, 16, 3), 200, np.uint8)
    plain[3] += 1
    plain[4, 2, 2] = 190
    assert near_duplicates(plain) == []
    assert near_duplicates(plain[:1]) == near_duplicates(plain[:0]) == []


def test_a_mirrored_image_of_itself_is_no_copy() -> None:
    images = thumbnails(20)
    images = np.maximum(images, images[:, :, ::-1])
    assert near_duplicates(images) == []


def test_all_are_found_among_many_also_in_full_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    images, noise = thumbnails(120), np.random.default_rng(2)
    copies = images[:40].astype(int) + noise.integers(-9, 10, (40, 16, 16, 3))
    copies[::2] = copies[::2, :, ::-1]
    both = np.concatenate([images, copies.clip(0, 255).astype(np.uint8)])
    expected = [NearDuplicate(120 + i, i, i % 2 == 0) for i in range(40)]
    assert near_duplicates(both) == expected
    monkeypatch.setattr(module, "MAX_COMPARED", 7)
    monkeypatch.setattr(module, "MAX_PAIRS", 40)
    monkeypatch.setattr(module, "WIDTH", 5.0)
    assert near_duplicates(both) == expected


def test_many_images_that_are_all_alike_take_no_time() -> None:
    """As frames of a film are."""
    noise = np.random.default_rng(2).integers(-5, 6, (2_000, 16, 16, 3))
    frames = (thumbnails(1).astype(int) + noise).clip(0, 255).astype(np.uint8)
    started = time.process_time()
    found = near_duplicates(frames)
    assert time.process_time() - started < 3
    assert found == [NearDuplicate(i, 0, False) for i in range(1, 2_000)]


def test_gray_images_must_be_more_alike() -> None:
    """Digits of one class are alike by chance."""
    gray, noise = thumbnails(8)[..., :1].repeat(3, 3), np.random.default_rng(2)
    for size, expected in ((20, 0), (3, 8)):
        copies = gray + noise.integers(-size, size + 1, (8, 16, 16, 1))
        both = np.concatenate([gray, copies.clip(0, 255).astype(np.uint8)])
        assert len(near_duplicates(both)) == expected
