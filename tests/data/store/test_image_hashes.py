"""Hashes of the images of a store, by which `--split hash` knows them."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.recipe import DataOptions
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.datasets.folder import folder_source
from alexnet.data.datasets.published import published_source
from alexnet.data.source import ImageArray
from alexnet.data.splits import split_indices
from alexnet.data.store import image_hashes
from alexnet.data.store.build import planned_store, prepare
from alexnet.data.store.image_hashes import hash_images, with_image_hashes
from alexnet.data.store.store import HASHES_FILE, open_store
from alexnet.errors import DataError
from support.noise_stores import TINY_FORM, recording, write_images
from support.shards import labelled_photos, write_folder, write_parquet, write_shards


def content_hash(content: bytes) -> int:
    """As they are defined."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def test_they_are_of_the_files_and_computed_once(tmp_path: Path) -> None:
    source = folder_source(write_images(tmp_path))
    plain = prepare(source, TINY_FORM)
    assert plain.image_hashes is None
    calls: list[tuple[int, int]] = []
    store = prepare(source, TINY_FORM, hash_images=True, on_progress=lambda *n: calls.append(n))
    assert calls == [(i, 12) for i in range(1, 13)]
    files = [tmp_path / "images" / name for name in store.info.names]
    assert store.image_hashes is not None
    assert store.image_hashes.tolist() == [content_hash(file.read_bytes()) for file in files]
    again = prepare(source, TINY_FORM)
    assert np.array_equal(again.image_hashes, store.image_hashes), "also for who does not ask"
    assert again.manifest_hash() == plain.manifest_hash()


def test_planned_stores_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    source = folder_source(folder)
    planned, is_there = planned_store(source, TINY_FORM, hash_images=True)
    assert (is_there, planned.folder.exists()) == (False, False)
    store = prepare(source, TINY_FORM, hash_images=True)
    assert np.array_equal(planned.image_hashes, store.image_hashes)
    (folder / "a" / "0.png").unlink()
    assert hash_images(source.images, source.names)[0] == 0
    with pytest.raises(DataError, match=r"a/0.png cannot be read any more; run the same again"):
        with_image_hashes(replace(store, image_hashes=None), source.images)


def test_a_failure_of_the_machine_is_no_hash(tmp_path: Path) -> None:
    source, _ = recording(folder_source(write_images(tmp_path)))

    class Failing:
        def content(self, index: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(DataError, match=r"a/0.png cannot be read now"):
        hash_images(Failing(), source.names)  # type: ignore[arg-type]


def test_a_cache_that_cannot_be_written_and_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_source(write_images(tmp_path))

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(image_hashes, "atomic_write", refuse)
        store = prepare(source, TINY_FORM, hash_images=True)
    assert store.image_hashes is not None
    assert not (store.folder / HASHES_FILE).exists()
    np.save(store.folder / HASHES_FILE, store.image_hashes[:5])
    with pytest.raises(DataError, match="remove it and prepare it again"):
        open_store(store.folder)


def test_shards_tables_and_folders_of_the_same_files_have_the_same(tmp_path: Path) -> None:
    photos = labelled_photos()
    sources = [
        open_source(str(write(tmp_path / name, photos)))
        for name, write in (("f", write_folder), ("s", write_shards), ("p", write_parquet))
    ]
    found = [sorted(hash_images(one.images, one.names).tolist()) for one in sources]
    assert found[0] == found[1] == found[2] == sorted(map(content_hash, photos.values()))


def test_of_an_array_they_are_of_the_pixels() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    found = hash_images(ImageArray(pixels), ("a", "b"))
    assert found.tolist() == [content_hash(one.tobytes()) for one in pixels]


def test_a_plan_for_images_that_are_not_here_has_about_as_many_test_images() -> None:
    store, _ = planned_store(published_source("flowers17"), TINY_FORM, hash_images=True)
    splits = split_indices(store, DataOptions(split="hash"), 0)
    assert len(splits.test) / len(store) == pytest.approx(store.info.test_fraction, abs=0.04)
