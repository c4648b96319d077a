"""Preparing a store: what is in it, what is refused, and that stopping it loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import alexnet
from alexnet.config.preprocessing import Resize
from alexnet.config.recipe import DataOptions
from alexnet.data.datasets.folder import folder_source
from alexnet.data.images.decode import decode
from alexnet.data.splits import split_indices
from alexnet.data.store import build as module
from alexnet.data.store.build import prepare
from alexnet.data.store.store import open_store
from alexnet.errors import DataError
from support.noise_stores import (
    SIDE,
    TrainingInterrupted,
    contents,
    decoded_rows,
    noise,
    ready,
    write_pictures,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of six pictures; b/1.png is not a picture."""
    return write_pictures(tmp_path)


@pytest.mark.parametrize("resize", ["shortest_edge", "stretch"])
def test_rows_are_the_decoded_pictures(folder: Path, resize: Resize) -> None:
    source, store = folder_source(folder), ready(folder, resize)
    images = store.images(range(12))
    assert (images.shape, images.dtype) == ((12, SIDE, SIDE, 3), np.uint8)
    assert (store.image_shape, store.num_bytes) == ((SIDE, SIDE, 3), images.nbytes)
    assert store.labels.tolist() == [0] * 6 + [1] * 6
    assert store.labels.dtype == np.int64
    assert store.info.names == source.names
    assert store.info.class_names == ("a", "b")
    for row in np.flatnonzero(store.usable):
        with source.images.open(int(row)) as image:
            assert np.array_equal(store.image(row), decode(image, resize, SIDE))


def test_refused_pictures_are_named_black_and_in_no_split(folder: Path) -> None:
    store = ready(folder)
    (refusal,) = store.info.rejected
    assert (refusal.index, refusal.name) == (7, "b/1.png")
    assert "not a whole picture of a kind that is read" in refusal.reason
    assert not store.image(7).any()
    assert store.usable.tolist() == [row != 7 for row in range(12)]
    splits = split_indices(store, DataOptions(test_fraction=0.4, val_fraction=0.4), seed=0)
    together = np.concatenate([splits.train, splits.val, splits.test])
    assert sorted(together.tolist()) == [row for row in range(12) if row != 7]


def test_colours_are_numpys(folder: Path) -> None:
    store = ready(folder)
    rows = np.array([9, 0, 4, 2])
    pixels = store.images(rows).reshape(-1, 3).astype(np.float64)
    assert store.color_mean(rows) == pytest.approx(pixels.mean(0), rel=1e-5)
    covariance = np.cov(pixels.T, bias=True)
    assert store.color_covariance(rows) == pytest.approx(covariance, rel=1e-3, abs=0.5)
    expected = store.images(rows).mean(0, dtype=np.float64)
    assert store.mean_image(rows) == pytest.approx(expected, abs=1e-4)
    assert store.mean_image(rows, chunk=3) == pytest.approx(expected, abs=1e-4)
    assert store.mean_image(rows).dtype == np.float32


def test_a_second_opening_decodes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, rows = ready(folder), decoded_rows(monkeypatch)
    second = ready(folder)
    assert rows == []
    assert second.folder == first.folder
    assert second.info == first.info


def test_another_size_rule_or_content_is_another_store(folder: Path) -> None:
    folders = {ready(folder).folder, ready(folder, side=8).folder, ready(folder, "stretch").folder}
    noise(folder / "a" / "0.png", 99, (31, 26))
    folders.add(ready(folder).folder)
    (folder / "a" / "5.png").unlink()
    folders.add(ready(folder).folder)
    (folder / "a" / "4.png").rename(folder / "b" / "9.png")
    folders.add(ready(folder).folder)
    assert len(folders) == 6


def test_a_store_has_the_same_bytes_wherever_it_is_made(folder: Path, tmp_path: Path) -> None:
    source = folder_source(folder)
    one = prepare(source, resize="stretch", side=8, cache=tmp_path / "one").folder
    two = prepare(source, resize="stretch", side=8, cache=tmp_path / "two").folder
    assert contents(one) == contents(two)
    assert set(contents(one)) == {"images.npy", "labels.npy", "moments.npy", "store.json"}


def test_progress_counts_to_the_end(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    prepare(folder_source(folder), resize="stretch", side=8, progress=lambda *n: told.append(n))
    assert told[-1] == (12, 12)
    assert told == sorted(told)


def test_after_an_interruption_only_the_rest_is_decoded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_source(folder)
    whole = prepare(source, resize="stretch", side=8, cache=tmp_path / "whole").folder
    monkeypatch.setattr(module, "CHUNK", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)

    def stop(done: int, total: int) -> None:
        if done == 9:
            raise TrainingInterrupted

    with pytest.raises(TrainingInterrupted):
        prepare(source, resize="stretch", side=8, progress=stop)
    rows = decoded_rows(monkeypatch)
    store = prepare(source, resize="stretch", side=8)
    assert sorted(rows) == [9, 10, 11]
    assert contents(store.folder) == contents(whole)


SLOW_PREPARE = """
import sys, time
from pathlib import Path
from alexnet.data.store import build as module
from alexnet.data.datasets.folder import folder_source
module.CHUNK = 1
original = module._decode_row
def slow(*arguments):
    time.sleep(float(sys.argv[2]))
    return original(*arguments)
module._decode_row = slow
def told(done, total):
    print(done, flush=True)
store = module.prepare(folder_source(Path(sys.argv[1])), resize="stretch", side=8, progress=told)
print("ready", store.folder, flush=True)
"""


def preparing(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """Prepares a folder in another process, `seconds` a picture."""
    environment = {**os.environ, "PYTHONPATH": str(Path(alexnet.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_PREPARE, str(folder), str(seconds)],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_killed_midway_it_goes_on_and_ends_in_the_same_bytes(
    folder: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refused picture is among those that were done before the kill."""
    source = folder_source(folder)
    whole = prepare(source, resize="stretch", side=8, cache=tmp_path / "whole").folder
    with preparing(folder, 0.05) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 8:
            pass
        process.send_signal(signal.SIGKILL)
    partial = next((cache / "stores").glob("*.partial"))
    done = np.load(partial / "done.npy")
    assert 8 <= (done != module.TODO).sum() < 12, "the kill came too late"
    assert done[7] == module.REFUSED
    rows = decoded_rows(monkeypatch)
    store = prepare(source, resize="stretch", side=8)
    assert sorted(rows) == np.flatnonzero(done == module.TODO).tolist()
    assert contents(store.folder) == contents(whole)
    assert not list((cache / "stores").glob("*.partial"))


def test_two_processes_at_once_make_one_store(folder: Path, cache: Path) -> None:
    with preparing(folder, 0.02) as one, preparing(folder, 0.02) as two:
        assert one.stdout is not None
        assert two.stdout is not None
        lines = [process.stdout.read().splitlines() for process in (one, two) if process.stdout]
    assert one.returncode == two.returncode == 0
    assert lines[0][-1] == lines[1][-1]
    counted = [said[:-1] for said in lines]
    assert counted.count([str(number) for number in range(1, 13)]) == 1, "one decodes, one waits"
    store = open_store(Path(lines[0][-1].removeprefix("ready ")))
    assert len(store.info.rejected) == 1


def test_who_waits_is_told_how_far_the_other_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    told: list[tuple[int, int]] = []
    with preparing(folder, 0.15) as other:
        assert other.stdout is not None
        other.stdout.readline()
        prepare(folder_source(folder), resize="stretch", side=8, progress=lambda *n: told.append(n))
    assert len(told) > 1
    assert {total for _, total in told} == {12}
    assert 0 < told[0][0] < 12
    assert told == sorted(told)


def test_a_store_that_is_there_needs_no_writing(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one in a cache that others share and this user may only read."""
    store = ready(folder)
    for lock in (cache / "stores").glob("*.lock"):
        lock.unlink()
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    monkeypatch.setattr(module, "FileLock", lambda path: pytest.fail("a lock was asked for"))
    assert ready(folder).folder == store.folder
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_a_file_system_without_locks_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(path: Path) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(module, "FileLock", no_locks)
    with pytest.raises(DataError, match=r"not appear to support flock.*ALEXNET_CACHE"):
        ready(folder)


def test_a_label_that_is_no_class_names_picture_and_file(folder: Path) -> None:
    store = ready(folder)
    labels = store.folder / "labels.npy"
    for label in (2, -1):
        np.save(labels, np.array([0] * 6 + [1] * 3 + [label, 1, 1]))
        with pytest.raises(
            DataError, match=rf"labels\.npy: b/3\.png has the label {label}, .*remove"
        ):
            ready(folder)


def test_one_thread_or_many_make_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, stores = folder_source(folder), []
    for cores in (1, 8):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        monkeypatch.setattr(module, "CHUNK", 3)
        stores.append(prepare(source, resize="stretch", side=8, cache=tmp_path / f"{cores}"))
    assert contents(stores[0].folder) == contents(stores[1].folder)


def test_when_nothing_can_be_used_nothing_is_left(tmp_path: Path, cache: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "bad" / name).parent.mkdir(parents=True)
        (tmp_path / "bad" / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match="bad: none of the 2 pictures can be used; first"):
        ready(tmp_path / "bad")
    assert [path.suffix for path in (cache / "stores").iterdir()] in ([], [".lock"])


def test_a_cache_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write the store .*ALEXNET_CACHE"):
        prepare(folder_source(folder), resize="stretch", side=8, cache=tmp_path / "file")


def test_a_full_disk_is_an_error_and_what_was_taken_is_given_back(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(DataError, match="No space left on device; free some space"):
            ready(folder)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(ready(folder)) == 12


def test_a_damaged_store_is_named(folder: Path) -> None:
    store = ready(folder)
    labels = store.folder / "labels.npy"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-8])
    with pytest.raises(DataError, match="remove it and prepare it again"):
        ready(folder)
    np.save(labels, np.zeros(5, np.int64))
    with pytest.raises(DataError, match="remove it and prepare it again"):
        ready(folder)
    labels.write_bytes(whole)
    (store.folder / "store.json").write_text("{}")
    with pytest.raises(DataError, match="remove it and prepare it again"):
        ready(folder)


def test_a_name_that_is_no_file_name_is_made_one(folder: Path, cache: Path) -> None:
    source = replace(folder_source(folder), name="../ü/" + "x" * 300)
    store = prepare(source, resize="stretch", side=8)
    assert store.folder.parent == cache / "stores"


def test_prepare_is_quick_to_open(folder: Path) -> None:
    ready(folder)
    began = time.perf_counter()
    ready(folder)
    assert time.perf_counter() - began < 0.5
