"""Building an image store: resuming, waiting, failing, and the same bytes in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

import alexnet
from alexnet.config.preprocessing import StoredForm, StoreFormat
from alexnet.data.datasets.folder import folder_source
from alexnet.data.images import open as opening
from alexnet.data.images.formats import FORMATS
from alexnet.data.store import build as build_module
from alexnet.data.store.build import chunk_size, planned_store, prepare
from alexnet.data.store.partial import PENDING, REJECTED
from alexnet.data.store.store import STORE_FORMAT, Skipped, open_store
from alexnet.errors import DataError
from alexnet.io import locks as module
from support.cores import set_cores
from support.noise_stores import (
    SIDE,
    TINY_FORM,
    build,
    contents,
    interrupted_build,
    noise,
    recording,
    write_images,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of six images; b/1.png is not an image."""
    return write_images(tmp_path)


def test_a_second_build_decodes_nothing(folder: Path) -> None:
    source, images = recording(folder_source(folder))
    first = build(folder)
    second = prepare(source, StoredForm(resize=first.info.resize, resize_size=first.info.side))
    assert images.opened == []
    assert second.folder == first.folder
    assert second.info == first.info


def test_another_size_resize_or_content_is_another_store(folder: Path) -> None:
    folders = {build(folder).folder, build(folder, side=8).folder, build(folder, "stretch").folder}
    noise(folder / "a" / "0.png", 99, (31, 26))
    folders.add(build(folder).folder)
    (folder / "a" / "5.png").unlink()
    folders.add(build(folder).folder)
    (folder / "a" / "4.png").rename(folder / "b" / "9.png")
    folders.add(build(folder).folder)
    assert len(folders) == 6


def test_a_store_of_another_format_is_not_found(folder: Path) -> None:
    store = build(folder)
    name = store.folder.name
    assert name.endswith(f"-v{STORE_FORMAT}")
    store.folder.rename(store.folder.with_name(name.removesuffix(f"-v{STORE_FORMAT}")))
    assert build(folder).folder == store.folder


def test_a_store_has_the_same_bytes_wherever_it_is_built(folder: Path, tmp_path: Path) -> None:
    source = folder_source(folder)
    one = prepare(source, TINY_FORM, cache=tmp_path / "one").folder
    two = prepare(source, TINY_FORM, cache=tmp_path / "two").folder
    assert contents(one) == contents(two)
    assert set(contents(one)) == {"images.npy", "labels.npy", "color_moments.npy", "store.json"}


@pytest.fixture
def photos(folder: Path) -> Path:
    """The folder, with an image that needs a decoder which not every Pillow has."""
    if not (optional := [name for name in ("AVIF", "JPEG2000") if name in FORMATS]):
        pytest.skip("Pillow was built without AVIF and JPEG 2000")
    with Image.open(folder / "a" / "5.png") as image:
        image.save(folder / "a" / "9.png", optional[0])
    return folder


def without_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FORMATS", ("JPEG", "PNG"))


@pytest.mark.parametrize("store_format", ["pixels", "jpeg"])
def test_an_image_is_decoded_once_its_decoder_is_here(
    photos: Path, monkeypatch: pytest.MonkeyPatch, store_format: StoreFormat
) -> None:
    source = folder_source(photos)
    with monkeypatch.context() as patched:
        without_decoders(patched)
        before = prepare(source, replace(TINY_FORM, store_format=store_format))
    assert [image.index for image in before.info.rejected] == [6, 8]
    planned, is_there = planned_store(source, replace(TINY_FORM, store_format=store_format))
    assert not is_there
    after = prepare(source, replace(TINY_FORM, store_format=store_format))
    assert [image.index for image in after.info.rejected] == [8]
    assert after.images([6]).any()
    assert planned.folder == after.folder
    assert before.folder.exists()  # for the runs that were trained on it
    assert before.info.fingerprint != after.info.fingerprint
    assert before.manifest_hash() != after.manifest_hash()

    source, images = recording(source)
    again = prepare(source, replace(TINY_FORM, store_format=store_format))
    assert (again.folder, images.opened) == (after.folder, [])
    assert planned_store(source, replace(TINY_FORM, store_format=store_format))[1]


def test_a_resumed_build_decodes_what_lacked_a_decoder(
    photos: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, images = recording(folder_source(photos))
    complete = prepare(source, TINY_FORM, cache=tmp_path / "complete").folder
    with monkeypatch.context() as patched:
        without_decoders(patched)
        interrupted_build(source, cache)
    images.opened.clear()
    store = prepare(source, TINY_FORM)
    assert sorted(images.opened) == [6, 9, 10, 11, 12]
    assert contents(store.folder) == contents(complete)


def test_skipped_files_are_counted_each_time(folder: Path) -> None:
    (folder / "a" / "0.cr2").write_bytes(b"raw")
    first = build(folder)
    assert first.info.skipped == (Skipped(reason=".cr2", files=1),)
    (folder / "a" / "0.cr2").unlink()
    for name in ("a/0.svg", "b/1.svg"):
        (folder / name).write_bytes(b"<svg/>")
    planned, is_there = planned_store(folder_source(folder), StoredForm(resize_size=SIDE))
    assert is_there
    for store in (build(folder), planned):
        assert store.folder == first.folder
        assert store.info.skipped == (Skipped(reason=".svg", files=2),)


def test_progress_counts_to_the_end(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    prepare(folder_source(folder), TINY_FORM, on_progress=lambda *n: calls.append(n))
    assert calls[-1] == (12, 12)
    assert calls == sorted(calls)


def test_after_an_interruption_only_the_rest_is_decoded(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    source, images = recording(folder_source(folder))
    complete = prepare(source, TINY_FORM, cache=tmp_path / "complete").folder
    interrupted_build(source, cache)
    images.opened.clear()
    store = prepare(source, TINY_FORM)
    assert sorted(images.opened) == [9, 10, 11]
    assert contents(store.folder) == contents(complete)


SLOW_BUILD = """
import sys
from pathlib import Path
from alexnet.config.preprocessing import StoreFormat
from alexnet.data.datasets.folder import folder_source
from alexnet.data.images import open as opening
from alexnet.data.images.formats import FORMATS
from alexnet.data.store import build as build_module
from alexnet.data.store.build import prepare
from support.noise_stores import TINY_FORM, recording

source, images = recording(folder_source(Path(sys.argv[1])))
images.delay_seconds = float(sys.argv[2])

def on_progress(done, total):
    print(done, flush=True)

store = prepare(source, TINY_FORM, chunk=1, on_progress=on_progress)
print("ready", store.folder, flush=True)
"""


def build_in_a_process(folder: Path, delay_seconds: float) -> subprocess.Popen[str]:
    """Builds the store of a folder in another process, `delay_seconds` per image."""
    paths = (Path(alexnet.__file__).parents[1], Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_BUILD, str(folder), str(delay_seconds)],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_build_resumes_and_ends_in_the_same_bytes(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    """The rejected image is among those that were done before the kill."""
    source, images = recording(folder_source(folder))
    complete = prepare(source, TINY_FORM, cache=tmp_path / "complete").folder
    with build_in_a_process(folder, 0.05) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 8:
            pass
        process.send_signal(signal.SIGKILL)
    partial = next((cache / "stores").glob("*.partial"))
    status = np.load(partial / "status.npy")
    assert 8 <= (status != PENDING).sum() < 12, "the kill came too late"
    assert status[7] == REJECTED
    images.opened.clear()
    store = prepare(source, TINY_FORM)
    assert sorted(images.opened) == np.flatnonzero(status == PENDING).tolist()
    assert contents(store.folder) == contents(complete)
    assert not list((cache / "stores").glob("*.partial"))


@pytest.mark.slow
def test_two_processes_at_once_build_one_store(folder: Path, cache: Path) -> None:
    with build_in_a_process(folder, 0.02) as one, build_in_a_process(folder, 0.02) as two:
        lines = [process.stdout.read().splitlines() for process in (one, two) if process.stdout]
    assert one.returncode == two.returncode == 0
    assert lines[0][-1] == lines[1][-1]
    counts = [printed[:-1] for printed in lines]
    assert counts.count([str(number) for number in range(1, 13)]) == 1, "one decodes, one waits"
    store = open_store(Path(lines[0][-1].removeprefix("ready ")))
    assert len(store.info.rejected) == 1


@pytest.mark.slow
def test_of_four_processes_one_builds_and_a_killed_one_is_followed_by_the_next(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    """Every image is decoded once, but for those that the killed process was at."""
    source = folder_source(folder)
    complete = prepare(source, TINY_FORM, cache=tmp_path / "complete").folder
    with ExitStack() as stack:
        first = stack.enter_context(build_in_a_process(folder, 0.1))
        assert first.stdout is not None
        first.stdout.readline()
        others = [stack.enter_context(build_in_a_process(folder, 0.1)) for _ in range(3)]
        while int(first.stdout.readline()) < 6:
            pass
        first.send_signal(signal.SIGKILL)
        ends = [other.communicate(timeout=50)[0].splitlines() for other in others]
    assert [other.returncode for other in others] == [0, 0, 0]
    assert len({lines[-1] for lines in ends}) == 1
    decoded = [lines[:-1] for lines in ends if "12" in lines[:-1]]
    assert len([lines for lines in decoded if len(lines) >= 4]) >= 1, "one takes its place"
    (stored,) = {Path(lines[-1].removeprefix("ready ")) for lines in ends}
    assert contents(stored) == contents(complete)
    assert not list((cache / "stores").glob("*.partial"))


def test_a_process_that_waits_says_so_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And builds the store itself when the other one has gone without doing so."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    source, notes = folder_source(folder), list[str]()
    planned = planned_store(source, TINY_FORM)[0].folder
    planned.parent.mkdir(parents=True)
    other = FileLock(planned.with_name(f"{planned.name}.lock"))
    other.acquire()

    def end() -> None:
        if other.is_locked and notes:
            other.release()

    monkeypatch.setattr(build_module, "_report_other", lambda spec: end())
    store = prepare(source, TINY_FORM, on_note=notes.append)
    assert store.folder == planned
    assert len(notes) == 1
    assert notes[0].startswith(f"another process makes the store {planned.name}; waiting for it")


@pytest.mark.slow
def test_a_waiting_process_reports_the_progress_of_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    calls: list[tuple[int, int]] = []
    with build_in_a_process(folder, 0.15) as other:
        assert other.stdout is not None
        other.stdout.readline()
        prepare(folder_source(folder), TINY_FORM, on_progress=lambda *n: calls.append(n))
    assert len(calls) > 1
    assert {total for _, total in calls} == {12}
    assert 0 < calls[0][0] < 12
    assert calls == sorted(calls)


def test_a_store_that_exists_needs_no_writing(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one in a cache that others share and this user may only read.

    Only the folder gets the time of its last use, where it may be changed.
    """
    store = build(folder)
    for lock in (cache / "stores").glob("*.lock"):
        lock.unlink()
    others = [path for path in cache.rglob("*") if path != store.folder]
    before = {path: path.stat().st_mtime_ns for path in others}
    monkeypatch.setattr(module, "take_lock", lambda *_: pytest.fail("a lock was asked for"))
    assert build(folder).folder == store.folder
    assert {path: path.stat().st_mtime_ns for path in others} == before


def test_a_file_system_without_locks_holds_stores(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(lock: FileLock, timeout: float) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", no_locks)
    notes: list[str] = []
    store = prepare(folder_source(folder), TINY_FORM, on_note=notes.append)
    assert [path for path in (cache / "stores").iterdir() if path.is_dir()] == [store.folder]
    assert len(notes) == 1
    assert notes[0].startswith(f"the file system of {cache / 'stores'} has no file locks: ")


def test_one_thread_or_many_build_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, stores = folder_source(folder), []
    for cores in (1, 8):
        set_cores(monkeypatch, cores)
        stores.append(prepare(source, TINY_FORM, cache=tmp_path / f"{cores}", chunk=3))
    assert contents(stores[0].folder) == contents(stores[1].folder)


def test_when_no_image_can_be_used_nothing_is_left(tmp_path: Path, cache: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "bad" / name).parent.mkdir(parents=True)
        (tmp_path / "bad" / name).write_bytes(b"no image")
    with pytest.raises(DataError, match="bad: none of the 2 images can be used; first"):
        build(tmp_path / "bad")
    assert [path.suffix for path in (cache / "stores").iterdir()] in ([], [".lock"])


def test_a_cache_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write the store .*ALEXNET_CACHE"):
        prepare(folder_source(folder), TINY_FORM, cache=tmp_path / "file")


def test_a_full_disk_is_an_error_and_the_space_is_given_back(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(DataError, match="No space left on device; free some space"):
            build(folder)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(build(folder)) == 12


def test_a_name_that_is_no_file_name_becomes_one(folder: Path, cache: Path) -> None:
    source = replace(folder_source(folder), name="../ü/" + "x" * 300)
    store = prepare(source, TINY_FORM)
    assert store.folder.parent == cache / "stores"


def test_a_store_that_exists_opens_quickly(folder: Path) -> None:
    build(folder)
    began = time.perf_counter()
    build(folder)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("count", "largest", "expected"), [(16, 32, 2), (5, 32, 1), (100, 3, 3), (10_000, 32, 32)]
)
def test_few_images_are_shared_among_the_cores(
    count: int, largest: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cores(monkeypatch, 2)
    assert chunk_size(count, largest) == expected
