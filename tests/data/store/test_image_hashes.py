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
from alexnet.data.load import load_dataset
from alexnet.data.source import ImageArray
from alexnet.data.splits import split_indices
from alexnet.data.store import image_hashes
from alexnet.data.store.build import planned_store, prepare
from alexnet.data.store.image_hashes import hash_images, with_image_hashes
from alexnet.data.store.store import HASHES_FILE, open_store
from alexnet.errors import DataError
from alexnet.io.locks import take_lock
from support.noise_stores import TINY_FORM, recording, write_images
from support.runs import Witness
from support.shards import labelled_photos, write_folder, write_parquet, write_shards


def content_hash(content: bytes) -> int:
    """As they are defined."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def test_they_are_of_the_files_and_computed_once(tmp_path: Path) -> None:
    source = folder_source(write_images(tmp_path))
    plain = prepare(source, TINY_FORM)
    assert plain.image_hashes is None
    calls: list[tuple[int, int]] = []
    store = prepare(source, TINY_FORM, hash_images=True, on_hash=lambda *n: calls.append(n))
    assert calls == [(i, 12) for i in range(1, 13)]
    files = [tmp_path / "images" / name for name in store.info.names]
    assert store.image_hashes is not None
    assert store.image_hashes.tolist() == [content_hash(file.read_bytes()) for file in files]
    again = prepare(source, TINY_FORM)
    assert np.array_equal(again.image_hashes, store.image_hashes), "also for who does not ask"
    assert again.manifest_hash() == plain.manifest_hash()
    assert store.manifest_hash("hash") != plain.manifest_hash("hash"), "not known"
    files[0].write_bytes(files[0].read_bytes() + b"a comment")
    edited = prepare(folder_source(tmp_path / "images"), TINY_FORM, hash_images=True)
    assert edited.manifest_hash() == store.manifest_hash()
    assert edited.manifest_hash("hash") != store.manifest_hash("hash")
    assert edited.manifest_hash("hash").startswith(store.manifest_hash())


def test_planned_stores_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    folder = write_images(tmp_path)
    source = folder_source(folder)
    calls: list[tuple[int, int]] = []
    planned, is_there = planned_store(
        source, TINY_FORM, hash_images=True, on_hash=lambda *n: calls.append(n)
    )
    assert calls == [(i, 12) for i in range(1, 13)]
    assert (is_there, planned.folder.exists()) == (False, False)
    store = prepare(source, TINY_FORM, hash_images=True)
    assert np.array_equal(planned.image_hashes, store.image_hashes)
    (folder / "a" / "0.png").unlink()
    assert hash_images(source.images, source.names)[0] == 0
    (store.folder / HASHES_FILE).unlink()
    with pytest.raises(DataError, match=r"a/0.png cannot be read any more; run the same again"):
        with_image_hashes(replace(store, image_hashes=None), source.images)


@pytest.mark.parametrize("is_fresh", [True, False])
def test_a_reporter_is_told_of_every_hash(tmp_path: Path, witness: Witness, is_fresh: bool) -> None:
    folder = write_images(tmp_path)
    if not is_fresh:
        load_dataset(str(folder), resize_size=8)
    load_dataset(str(folder), resize_size=8, hash_images=True, reporter=witness)
    assert witness.progress["on_hash"] == [(i, 12) for i in range(1, 13)]


def test_a_second_process_waits_and_reads_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.io.locks.POLL_SECONDS", 0.02)
    source = folder_source(write_images(tmp_path))
    store, notes = prepare(source, TINY_FORM), list[str]()
    lock = take_lock(store.folder.with_name(f"{store.folder.name}.lock"))

    def end_first_process(note: str) -> None:
        notes.append(note)
        np.save(store.folder / HASHES_FILE, np.arange(12, dtype=np.uint64))
        lock.release()

    found = with_image_hashes(store, source.images, on_note=end_first_process)
    assert found.image_hashes is not None
    assert found.image_hashes.tolist() == list(range(12))
    assert len(notes) == 1
    assert "another process hashes the images" in notes[0]


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
        patch.setattr(image_hashes, "waiting_lock", lambda path, *_: refuse(path))
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
