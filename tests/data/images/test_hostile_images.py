"""The worst folder of pictures: each file is used to the pixel, or refused with its reason."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import struct
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from alexnet.data.check import check
from alexnet.data.datasets.folder import csv_source, folder_source
from alexnet.data.images import open as picture_file
from alexnet.data.images.decode import decode
from alexnet.data.images.integrity import jpeg_marks, png_bytes
from alexnet.data.images.open import Quiet, Room, open_picture, rejection_reason
from alexnet.data.source import FilePictures, Source, file_signature
from alexnet.data.store.build import prepare
from alexnet.errors import DataError
from alexnet.inference.classifier import load
from alexnet.io.files import open_regular, read_regular
from alexnet.io.limits import MAX_IMAGE_PIXELS
from alexnet.training.run_folder import RunFolder
from support.commands import Command
from support.hostile_images import COLOURS, SIDE, Bad, Good, bad_files, exif, good_files, saved

GOOD, BAD = good_files(), bad_files()
WAYS = ("a", "b")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file, in one of two classes; the bad ones beside the good ones."""
    folder = tmp_path_factory.mktemp("zoo") / "worst of all"
    for i, file in enumerate([*GOOD, *BAD]):
        path = folder / WAYS[i % 2] / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    return folder


def read(path: Path) -> np.ndarray:
    with open_picture(path) as image:
        return decode(image, "stretch", SIDE)


def refusal(path: Path) -> str:
    """Why a file is refused; "" where it is read."""
    try:
        read(path)
    except Exception as error:
        return rejection_reason(error, path.name)
    return ""


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
def test_used_to_the_pixel(zoo: Path, good: Good) -> None:
    (path,) = zoo.rglob(good.name)
    pixels = read(path)
    assert pixels.dtype == np.uint8
    difference = np.abs(pixels.astype(int) - good.pixels.astype(int))
    assert difference.max() <= good.tolerance


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_refused_with_its_reason(zoo: Path, bad: Bad) -> None:
    (path,) = zoo.rglob(bad.name)
    reason = refusal(path)
    assert bad.reason in reason
    assert "\n" not in reason
    assert str(zoo) not in reason


def test_the_store_uses_and_refuses_the_same(zoo: Path) -> None:
    store = prepare(folder_source(zoo), resize="stretch", side=SIDE)
    told = json.loads((store.folder / "store.json").read_text())
    reasons = {Path(one["name"]).name: one["reason"] for one in told["rejected"]}
    assert reasons.keys() == {bad.name for bad in BAD}
    assert all(bad.reason in reasons[bad.name] for bad in BAD)
    rows = {Path(name).name: row for row, name in enumerate(store.info.names)}
    for good in GOOD:
        difference = np.abs(store.image(rows[good.name]).astype(int) - good.pixels)
        assert difference.max() <= good.tolerance, good.name


def test_check_finds_the_same(zoo: Path) -> None:
    findings = check(folder_source(zoo))
    unreadable = {Path(f.name).name: f.text for f in findings if f.kind == "unreadable"}
    assert unreadable.keys() == {bad.name for bad in BAD}
    assert all(bad.reason in unreadable[bad.name] for bad in BAD)
    misnamed = {Path(f.name).name: f.text for f in findings if f.kind == "format"}
    assert misnamed["a PNG.JPEG"] == "is a PNG file"
    assert misnamed["a BMP.png"] == "is a BMP file"


def test_predict_reads_and_refuses_the_same(zoo: Path, trained: RunFolder) -> None:
    paths = sorted(path for path in zoo.rglob("*") if path.is_file())
    problems = {Path(p.image).name: p.error for p in load(trained.path, "cpu").predict(paths)}
    for bad in BAD:
        assert problems.pop(bad.name, "").find(bad.reason) >= 0, bad.name
    assert not any(problems.values())


def test_training_names_them_and_stops_at_the_share(
    command: Command, zoo: Path, tmp_path: Path
) -> None:
    words = ("train", "--data", zoo, "--epochs", "1", "--arch", "alexnet_bn", "--width", "0.05",
             "--input-size", "67", "--resize-size", "72", "--crop-size", "67")  # fmt: skip
    told = command(*words, "--out", tmp_path / "run")
    assert told.code == 2
    sentence = f"{len(BAD)} of {len(BAD) + len(GOOD)} pictures cannot be used"
    assert sentence in told.err
    assert "--max-rejected-fraction" in told.err
    assert not (tmp_path / "run").exists()
    told = command(*words, "--out", tmp_path / "run", "--max-rejected-fraction", "0.5")
    assert told.code == 0
    assert f"{sentence}: a/" in told.err
    refused = json.loads((tmp_path / "run" / "result.json").read_text())["rejected"]
    assert {Path(one["name"]).name for one in refused} == {bad.name for bad in BAD}


def test_thirty_thousand_pixels_wide(tmp_path: Path) -> None:
    wide = np.repeat(COLOURS[:4], 30_000 // SIDE, 1)
    (tmp_path / "wide.png").write_bytes(saved(wide, "PNG"))
    expected = Image.fromarray(wide).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    assert np.array_equal(read(tmp_path / "wide.png"), np.asarray(expected))
    with open_picture(tmp_path / "wide.png") as image:
        middle = decode(image, "shortest_edge", 4)
    assert np.array_equal(middle, wide[:, 14_998:15_002])


def within(seconds: float, work: Callable[[], object]) -> object:
    """What `work` gives, which must not wait for anybody."""
    given: list[object] = []
    thread = threading.Thread(target=lambda: given.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert given, "it waits"
    return given[0]


def special_files(folder: Path) -> None:
    """What is no file, under names of pictures."""
    os.mkfifo(folder / "pipe.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "again").symlink_to(folder)
    with socket.socket(socket.AF_UNIX) as server:
        there = Path.cwd()
        os.chdir(folder)  # a socket's path must be short
        server.bind("socket.png")
        os.chdir(there)


def test_what_is_no_file_is_passed_over_and_nobody_waits(tmp_path: Path, command: Command) -> None:
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(saved(COLOURS + len(name), "PNG"))
    special_files(tmp_path / "set" / "a")
    source = within(10, lambda: folder_source(tmp_path / "set"))
    assert isinstance(source, Source)
    assert source.names == ("a/1.png", "b/1.png")
    assert source.skipped == {
        "dangling link": 2,
        "folder seen before": 1,
        "not a regular file": 3,
    }
    told = within(20, lambda: command("data", "prepare", tmp_path / "set", "--resize-size", "8"))
    assert "(not a regular file)" in told.out  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["pipe.png", "zero.png", "socket.png", "gone.png", "self.png", ""])
def test_a_picture_that_turns_into_something_else_is_refused(tmp_path: Path, name: str) -> None:
    """Between the listing and the reading; a CSV or a call may name it outright, too."""
    special_files(tmp_path)
    (tmp_path / "whole.png").write_bytes(saved(COLOURS, "PNG"))
    source = Source(
        name="turned",
        class_names=("a", "b"),
        names=("whole", "turned"),
        labels=np.array([0, 1]),
        splits=("", ""),
        images=FilePictures((tmp_path / "whole.png", tmp_path / name)),
    )
    store = within(10, lambda: prepare(source, resize="stretch", side=SIDE))
    (refusal,) = store.info.rejected
    assert refusal.name == "turned"
    assert str(tmp_path) not in refusal.reason
    assert refusal.reason


def test_predict_does_not_wait_for_a_pipe(trained: RunFolder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (one,) = within(10, lambda: load(trained.path, "cpu").predict([tmp_path / "pipe.png"]))  # type: ignore[misc, attr-defined]
    assert one.error == "not a regular file"


def test_a_csv_that_is_a_pipe_or_names_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(DataError, match="cannot be read as a CSV file: not a regular file"):
        csv_source(tmp_path / "list.csv")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "other.csv").write_text("pipe.png,a\n" + "x" * 300 + ".png,b\n")
    with pytest.raises(DataError, match=r"2 pictures do not exist or are not files, first 'pipe"):
        csv_source(tmp_path / "other.csv")


@contextmanager
def as_nobody() -> Iterator[None]:
    """A user who is not root, whom no file's mode can stop."""
    is_root = os.geteuid() == 0
    if is_root:
        os.setresuid(65534, 65534, 0)
    yield
    if is_root:
        os.setresuid(0, 0, 0)


def test_a_file_that_may_not_be_read() -> None:
    """It is refused now, and used as soon as it may be read: the fingerprint is another then."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "shut.png"
        path.write_bytes(saved(COLOURS, "PNG"))
        path.parent.chmod(0o755)
        path.chmod(0o644)
        with as_nobody():
            read(path)
            whole = file_signature(path)
        path.chmod(0)
        with as_nobody():
            reason, shut = refusal(path), file_signature(path)
    assert reason == "Permission denied"
    assert shut != whole


@pytest.mark.parametrize("number", sorted(picture_file.TRANSIENT_ERRNOS))
def test_what_is_not_the_pictures_fault_is_not_held_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.png").write_bytes(saved(COLOURS, "PNG"))

    def short(path: Path) -> AbstractContextManager[Image.Image]:
        raise MemoryError if number == errno.EIO else OSError(number, os.strerror(number), path)

    source = folder_source(tmp_path / "set")
    with monkeypatch.context() as patch:
        patch.setattr("alexnet.data.source.open_picture", short)
        with pytest.raises(DataError, match=r"[ab]/1\.png cannot be read now \(.*is kept"):
            prepare(source, resize="stretch", side=SIDE)
    assert prepare(source, resize="stretch", side=SIDE).info.rejected == ()


def test_hidden_damage_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(saved(COLOURS, "PNG"))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match="LOAD_TRUNCATED_IMAGES is on, which hides damage"):
        read(tmp_path / "x.png")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="more than 536,870,912 bytes"):
        read(tmp_path / "sparse.jpg")
    with pytest.raises(OSError, match="more than 100 bytes"):
        read_regular(tmp_path / "sparse.jpg", 100)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_no_warning_comes_out_of_any_thread(tmp_path: Path) -> None:
    """And the filters are as before, however the threads' turns fall."""
    path = tmp_path / "x.tif"
    path.write_bytes(saved(COLOURS, "TIFF", compression="tiff_lzw", exif=exif(6))[:-7])

    def look() -> None:
        for _ in range(20):
            assert refusal(path)

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert warnings.filters == before
        warnings.warn("heard again", stacklevel=1)
    assert [str(one.message) for one in seen] == ["heard again"]


def test_one_that_leaves_late_does_not_bring_back_the_silence() -> None:
    """Two threads that overlap: with `catch_warnings` in each, the first one's exit would undo."""
    quiet = Quiet()
    before = list(warnings.filters)
    quiet.__enter__()
    quiet.__enter__()
    quiet.__exit__()
    warnings.warn("not heard", stacklevel=1)
    quiet.__exit__()
    assert warnings.filters == before


def test_there_is_room_for_so_many_pixels_at_a_time() -> None:
    room, inside, most = Room(10), [0], [0]
    lock = threading.Lock()

    def take(pixels: int) -> None:
        for _ in range(30):
            with room.for_pixels(pixels):
                with lock:
                    inside[0] += pixels
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= pixels

    threads = [threading.Thread(target=take, args=(n,)) for n in (10, 7, 3, 3, 1, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert most[0] <= 10


def test_a_failed_picture_gives_its_room_back(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(saved(COLOURS, "PNG")[:-30])
    for _ in range(3):
        assert refusal(path)
    with picture_file.ROOM.for_pixels(MAX_IMAGE_PIXELS):
        pass


def test_a_class_without_a_usable_picture_stops_training(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    """However small its share is: nothing can be learnt of it."""
    source = folder_source(flowers)
    folder = tmp_path / "set"
    for name, label in zip(source.names, source.labels, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = (flowers / name).read_bytes()
        path.write_bytes(b"" if label == 0 else whole)
    told = command("train", "--data", folder, "--epochs", "1", "--max-rejected-fraction", "0.2")
    assert told.code == 2
    assert f"class {source.class_names[0]!r} has no usable picture to learn from" in told.err
    assert "(the file is empty)" in told.err


def test_a_thousand_classes(tmp_path: Path) -> None:
    content = [saved(COLOURS[: i % 7 + 1], "BMP") for i in range(7)]
    for i in range(1000):
        (tmp_path / f"class {i}").mkdir()
        (tmp_path / f"class {i}" / "1.bmp").write_bytes(content[i % 7])
    source = folder_source(tmp_path)
    store = prepare(source, resize="stretch", side=4)
    assert len(store.info.class_names) == len(set(store.labels.tolist())) == 1000
    assert store.info.rejected == ()


def test_duplicates_that_a_drawn_split_may_part(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(saved(COLOURS + name.count("b"), "PNG"))
    (finding,) = check(folder_source(tmp_path / "set"))
    assert (finding.kind, finding.is_fault) == ("duplicate", False)
    assert "a drawn split may put one into training and one into the test" in finding.text
    split = replace(folder_source(tmp_path / "set"), splits=("train",) * 3)
    assert "drawn" not in check(split)[0].text


def test_the_marks_of_a_jpeg() -> None:
    """A thumbnail in a segment has marks of its own, which do not count."""
    content = saved(COLOURS, "JPEG")
    thumbnail = b"Exif\0\0" + content
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    marks = jpeg_marks(content[:2] + segment + content[2:] + content)
    assert marks.num_scans == 1
    assert marks.end == len(segment) + len(content) - 2
    assert jpeg_marks(saved(COLOURS, "JPEG", progressive=True)).num_scans > 5


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (3, 5), (9, 17), (100, 2)], ids=str)
def test_bytes_of_an_interlaced_png(size: tuple[int, int]) -> None:
    """By hand: every pixel belongs to the first pass whose grid has it."""
    width, height = size
    owner = np.full((height, width), 7)
    grids = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    for number, (x, y, step_x, step_y) in reversed(list(enumerate(grids))):
        owner[y::step_y, x::step_x] = number
    total = 0
    for number in range(8):
        rows = [row[row == number].size for row in owner]
        total += sum(1 + -(-3 * count // 8) for count in rows if count)
    assert png_bytes(width, height, 3, True) == total
    assert png_bytes(width, height, 3, False) == height * (1 + -(-3 * width // 8))


def test_reasons_are_one_short_line() -> None:
    assert rejection_reason(ValueError("a\nb\n" * 999), "x").startswith("damaged: a b a b")
    assert len(rejection_reason(ValueError("a\nb\n" * 999), "x")) < 250
    assert rejection_reason(KeyError(), "x") == "damaged: KeyError"
    assert not re.search("/x", rejection_reason(OSError(2, "No such file", "/x"), "x"))
