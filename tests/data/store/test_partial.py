"""Half stores: what a power cut, a failing machine or changing pictures leave of one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config.preprocessing import Resize
from alexnet.data.datasets.folder import folder_source
from alexnet.data.store import build as module
from alexnet.data.store import partial as partial_module
from alexnet.data.store.build import prepare
from alexnet.errors import DataError
from support.noise_stores import contents, cut_short, decoded_rows, noise, ready, write_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of six pictures; b/1.png is not a picture."""
    return write_pictures(tmp_path)


def test_what_a_power_cut_lost_of_a_half_store_is_done_again(
    folder: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marks may reach the disk before the pixels, the sums and the reasons do."""
    source = folder_source(folder)
    whole = prepare(source, resize="stretch", side=8, cache=tmp_path / "whole").folder
    partial = cut_short(source, monkeypatch, cache)
    images = np.load(partial / "images.npy", mmap_mode="r+")
    images[2], images[5, 7] = 0, 0
    moments = np.load(partial / "moments.npy", mmap_mode="r+")
    moments[3] = 0
    images.flush()
    moments.flush()
    (partial / "refused.jsonl").write_text('{"row": 7, "rea')
    rows = decoded_rows(monkeypatch)
    store = prepare(source, resize="stretch", side=8)
    assert sorted(rows) == [2, 3, 5, 7, 9, 10, 11]
    assert contents(store.folder) == contents(whole)


@pytest.mark.parametrize("name", ["images.npy", "moments.npy", "done.npy", "checks.npy"])
@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", bytes(4000)], ids=["empty", "cut", "zeros"])
def test_a_half_store_with_a_damaged_array_is_mended(
    folder: Path,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    damage: bytes,
) -> None:
    source = folder_source(folder)
    whole = prepare(source, resize="stretch", side=8, cache=tmp_path / "whole").folder
    partial = cut_short(source, monkeypatch, cache)
    (partial / name).write_bytes(damage)
    assert contents(prepare(source, resize="stretch", side=8).folder) == contents(whole)


def test_what_a_killed_process_was_writing_aside_is_not_kept(
    folder: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_source(folder)
    whole = prepare(source, resize="stretch", side=8, cache=tmp_path / "whole").folder
    partial = cut_short(source, monkeypatch, cache)
    (partial / ".store.json.123.tmp").write_text("{")
    assert contents(prepare(source, resize="stretch", side=8).folder) == contents(whole)


def test_room_that_a_killed_process_was_taking_is_given_back_before_it_is_counted(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_source(folder)
    partial = cut_short(source, monkeypatch, cache)
    (partial / "images.npy").replace(partial / "images.new")
    before = partial_module.shutil.disk_usage
    seen = []

    def usage(path: Path) -> object:
        seen.append((Path(path) / "images.new").exists())
        return before(path)

    monkeypatch.setattr(partial_module.shutil, "disk_usage", usage)
    prepare(source, resize="stretch", side=8)
    assert seen == [False]


@pytest.mark.parametrize("change", ["rewritten", "removed"])
def test_pictures_that_change_while_they_are_prepared_make_no_store(
    folder: Path, cache: Path, change: str
) -> None:
    """Else the store would hold some pictures as they were and some as they are."""

    def disturb(done: int, total: int) -> None:
        path = folder / "a" / "2.png"
        path.unlink(missing_ok=True)
        if change == "rewritten":
            noise(path, 77, (31, 26))

    with pytest.raises(DataError, match="pictures changed while they were prepared"):
        prepare(folder_source(folder), resize="stretch", side=8, progress=disturb)
    assert [path.suffix for path in (cache / "stores").iterdir()] in ([], [".lock"])
    assert len(ready(folder)) == (11 if change == "removed" else 12)


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_failing_machine_is_no_reason_to_refuse_a_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The store would keep the refusal, and the picture is good."""
    whole, original = ready(folder, side=9), module.decode

    def failing(image: Image.Image, resize: Resize, side: int) -> np.ndarray:
        if image.size == (30, 26) and np.asarray(image)[0, 0, 0] == whole_pixel:
            raise OSError(number, os.strerror(number))
        return original(image, resize, side)

    with Image.open(folder / "b" / "4.png") as image:
        whole_pixel = np.asarray(image)[0, 0, 0]
    with monkeypatch.context() as patch:
        patch.setattr(module, "decode", failing)
        with pytest.raises(DataError, match=r"cannot be read now .*run the same again"):
            ready(folder)
    assert len(ready(folder).info.rejected) == len(whole.info.rejected) == 1
