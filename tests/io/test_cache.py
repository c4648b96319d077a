"""The entries of the cache: which there are, when they were used, and what is never removed."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from filelock import FileLock

from alexnet.data.datasets import cifar10, flowers17, mnist
from alexnet.interop import torchvision
from alexnet.io.cache import IN_USE, KINDS, CacheEntry, cache_entries, remove_entry
from alexnet.io.in_use import InUse

STORE = "flowers-0123456789abcdef-shortest_edge-72-v2"
OURS = {
    f"stores/{STORE}": "image store",
    "stores/old_one-0123456789abcdef-stretch-32": "image store",
    f"stores/{STORE}.partial": "unfinished store",
    "features/flowers-0123456789abcdef-0123456789abcdef-v1": "feature index",
    "features/flowers-0123456789abcdef-0123456789abcdef-v1.partial": "unfinished index",
    "unpacked/photos-0123456789abcdef": "unpacked archive",
    "unpacked/.photos-0123456789abcdef-01234567": "left unfinished",
    "hub/me--photos": "download",
    f"heads/{'0123456789abcdef' * 4}": "assembled model",
    "kernels/0123456789abcdef01234567.so": "compiled kernels",
    "optimized/0123456789abcdef01234567.safetensors": "optimized network",
    "data/toyflowers-1": "data set",
    "data/17flowers.tgz": "download",
    "data/.17flowers.tgz.part": "left unfinished",
    "data/.toyflowers-1.4711.removed": "left unfinished",
}
NOT_OURS = (
    f"stores/{STORE}.lock", "stores/holiday", "stores/notes.txt", "data/photos/1.jpg",
    "data/ILSVRC/train", "data/17flowers/datasplits.mat", "photos-0123456789abcdef", ".bashrc",
    "data/.hidden", "kernels/mine.so", "optimized/mine.safetensors", "hub/models--openai--clip",
    "hub/datasets--me--photos",
)  # fmt: skip


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A cache that also holds files of others."""
    cache = tmp_path / "cache"
    for name in (*OURS, *NOT_OURS):
        path = cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix or "." in path.name[1:]:
            path.write_bytes(b"1234567")
        else:
            path.mkdir()
            (path / "store.json").write_bytes(b"1234567")
    return cache


def by_name(cache: Path) -> dict[str, CacheEntry]:
    return {str(Path(e.path).relative_to(cache)): e for e in cache_entries(cache)}


def test_only_what_is_ours_is_an_entry(full: Path) -> None:
    entries = by_name(full)
    assert {name: entry.kind for name, entry in entries.items()} == OURS
    assert {entry.size_bytes for entry in entries.values()} == {7}
    for entry in entries.values():
        assert remove_entry(entry) == ""
    left = {str(p.relative_to(full)) for p in full.rglob("*") if not p.is_dir()}
    assert left == {name if (full / name).is_file() else f"{name}/store.json" for name in NOT_OURS}
    assert cache_entries(full) == []


def test_names_of_downloads_are_those_of_the_data_sets() -> None:
    names = {
        "data": [flowers17.ARCHIVE, cifar10.ARCHIVES[0], torchvision.FILE],
        "data/mnist": [f"{name}.gz" for name in mnist.MNIST.md5s],
        "data/fashion_mnist": [f"{name}.gz" for name in mnist.FASHION_MNIST.md5s],
    }
    for folder, files in names.items():
        assert len(files) > 2
        for name in files:
            assert any(re.fullmatch(form, name) for form, _ in KINDS[folder]), name


def test_the_last_use_is_the_latest_reading_or_writing(full: Path) -> None:
    folder = full / "stores" / STORE
    for path in (folder, folder / "store.json"):
        os.utime(path, (1000, 1000))
    assert by_name(full)[f"stores/{STORE}"].used_at == 1000
    assert by_name(full)[f"stores/{STORE}"].used_at == 1000, "listing is no use"
    os.utime(folder / "store.json", (3000, 1000))
    assert by_name(full)[f"stores/{STORE}"].used_at == 3000
    os.utime(folder, (1000, time.time() + 9000))
    assert by_name(full)[f"stores/{STORE}"].used_at <= time.time()


def test_links_are_never_followed(tmp_path: Path) -> None:
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    (elsewhere / STORE).mkdir(parents=True)
    (elsewhere / STORE / "store.json").write_text("{}")
    (cache / "data").mkdir(parents=True)
    (cache / "stores").symlink_to(elsewhere)
    (cache / "data" / "toyflowers-1").symlink_to(elsewhere)
    assert cache_entries(cache) == []
    own = cache / "unpacked" / "a-0123456789abcdef"
    own.mkdir(parents=True)
    (own / "link").symlink_to(elsewhere)
    (entry,) = cache_entries(cache)
    assert (entry.size_bytes, remove_entry(entry)) == (0, "")
    assert (elsewhere / STORE / "store.json").exists()


def test_what_is_in_use_stays(full: Path) -> None:
    entries = by_name(full)
    with FileLock(full / "stores" / f"{STORE}.lock"):
        assert remove_entry(entries[f"stores/{STORE}.partial"]) == IN_USE
    mark = InUse(full / "stores" / STORE / "store.json")
    assert remove_entry(entries[f"stores/{STORE}"]) == IN_USE
    del mark
    with FileLock(full / "unpacked" / ".photos-0123456789abcdef.lock"):
        for name in ("photos-0123456789abcdef", ".photos-0123456789abcdef-01234567"):
            assert remove_entry(entries[f"unpacked/{name}"]) == IN_USE
    assert by_name(full).keys() == OURS.keys()
    assert remove_entry(entries[f"stores/{STORE}"]) == ""


def test_what_another_process_has_removed_is_no_error(full: Path) -> None:
    entries = by_name(full)
    for entry in entries.values():
        assert remove_entry(entry) == ""
        assert remove_entry(entry) == ""


def test_what_cannot_be_removed_is_told(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("alexnet.io.cache.rename", refuse)
    assert remove_entry(by_name(full)["data/toyflowers-1"]) == "Permission denied"
    assert (full / "data" / "toyflowers-1").exists()
