"""Partial stores: what a power cut, a failing machine or changing images leave of one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.preprocessing import StoredForm
from alexnet.data.datasets.folder import folder_source
from alexnet.data.store.build import prepare
from alexnet.errors import DataError
from alexnet.io import arrays as module
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
from support.slow import first_fast


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of six images; b/1.png is not an image."""
    return write_images(tmp_path)


def test_what_a_power_cut_lost_is_decoded_again(folder: Path, tmp_path: Path, cache: Path) -> None:
    """The status may reach the disk before the pixels, the moments and the reasons do."""
    source, recorded = recording(folder_source(folder))
    complete = prepare(source, TINY_FORM, cache=tmp_path / "complete").folder
    partial = interrupted_build(source, cache)
    images = np.load(partial / "images.npy", mmap_mode="r+")
    images[2], images[5, 7] = 0, 0
    moments = np.load(partial / "color_moments.npy", mmap_mode="r+")
    moments[3] = 0
    images.flush()
    moments.flush()
    (partial / "rejected.jsonl").write_text('{"index": 7, "rea')
    recorded.opened.clear()
    store = prepare(source, TINY_FORM)
    assert sorted(recorded.opened) == [2, 3, 5, 7, 9, 10, 11]
    assert contents(store.folder) == contents(complete)


@pytest.mark.parametrize("name", ["images.npy", "color_moments.npy", "status.npy", "checksums.npy"])
@pytest.mark.parametrize(
    "damage", first_fast([b"\x93NUMPY", b"", bytes(4000)]), ids=["cut", "empty", "zeros"]
)
def test_a_damaged_array_is_made_anew(
    folder: Path, tmp_path: Path, cache: Path, name: str, damage: bytes
) -> None:
    source = folder_source(folder)
    complete = prepare(source, TINY_FORM, cache=tmp_path / "complete").folder
    partial = interrupted_build(source, cache)
    (partial / name).write_bytes(damage)
    assert contents(prepare(source, TINY_FORM).folder) == contents(complete)


def test_the_temporary_file_of_a_killed_process_is_removed(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    source = folder_source(folder)
    complete = prepare(source, TINY_FORM, cache=tmp_path / "complete").folder
    partial = interrupted_build(source, cache)
    (partial / ".store.json.123.tmp").write_text("{")
    assert contents(prepare(source, TINY_FORM).folder) == contents(complete)


def test_space_of_a_killed_process_is_freed_before_free_space_is_measured(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_source(folder)
    partial = interrupted_build(source, cache)
    (partial / "images.npy").replace(partial / "images.new")
    before = module.shutil.disk_usage
    existed = []

    def usage(path: Path) -> object:
        existed.append((Path(path) / "images.new").exists())
        return before(path)

    monkeypatch.setattr(module.shutil, "disk_usage", usage)
    prepare(source, TINY_FORM)
    assert existed == [False]


@pytest.mark.parametrize("change", ["rewritten", "removed"])
def test_images_that_change_during_the_build_make_no_store(
    folder: Path, cache: Path, change: str
) -> None:
    """Else the store would hold some images as they were and some as they are."""

    def disturb(done: int, total: int) -> None:
        path = folder / "a" / "2.png"
        path.unlink(missing_ok=True)
        if change == "rewritten":
            noise(path, 77, (31, 26))

    with pytest.raises(DataError, match="images changed while they were prepared"):
        prepare(folder_source(folder), TINY_FORM, on_progress=disturb)
    assert [path.suffix for path in (cache / "stores").iterdir()] in ([], [".lock"])
    assert len(build(folder)) == (11 if change == "removed" else 12)


@pytest.mark.parametrize(
    "number",
    [errno.EIO, errno.EMFILE, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EAGAIN,
     errno.EBADF, errno.ENODEV, errno.EBUSY, errno.ENXIO],
)  # fmt: skip
def test_a_failing_machine_is_no_reason_to_reject_an_image(folder: Path, number: int) -> None:
    """The store would keep the rejection, and the image is good."""
    source, images = recording(folder_source(folder))
    images.errors[10] = OSError(number, os.strerror(number))
    with pytest.raises(DataError, match=r"b/4\.png cannot be read now .*run the same again"):
        prepare(source, StoredForm(resize_size=SIDE))
    assert [image.index for image in build(folder).info.rejected] == [7]
