"""The worst folder of images: each file is used to the pixel, or rejected with its reason."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config.preprocessing import StoredForm
from alexnet.data.check import check
from alexnet.data.datasets.folder import folder_source
from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.images.decode import decode
from alexnet.data.images.open import (
    open_image,
)
from alexnet.data.source import ImageFiles, Source
from alexnet.data.store.build import prepare
from alexnet.errors import DataError
from alexnet.inference.classifier import load
from alexnet.training.run_folder import RunFolder
from support.commands import Command
from support.hostile_images import (
    COLORS,
    SIDE,
    Bad,
    Good,
    bad_files,
    encode,
    good_files,
    read,
    rejection,
)

GOOD, BAD = good_files(), bad_files()
CLASSES = ("a", "b")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file, in one of two classes; the bad ones beside the good ones."""
    folder = tmp_path_factory.mktemp("zoo") / "worst of all"
    for i, file in enumerate([*GOOD, *BAD]):
        path = folder / CLASSES[i % 2] / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    return folder


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
def test_used_to_the_pixel(zoo: Path, good: Good) -> None:
    (path,) = zoo.rglob(good.name)
    pixels = read(path)
    assert pixels.dtype == np.uint8
    difference = np.abs(pixels.astype(int) - good.pixels.astype(int))
    assert difference.max() <= good.tolerance


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_rejected_with_its_reason(zoo: Path, bad: Bad) -> None:
    (path,) = zoo.rglob(bad.name)
    reason = rejection(path)
    assert bad.reason in reason
    assert "\n" not in reason
    assert str(zoo) not in reason


def test_the_store_uses_and_rejects_the_same(zoo: Path) -> None:
    store = prepare(folder_source(zoo), StoredForm(resize="stretch", resize_size=SIDE))
    info = json.loads((store.folder / "store.json").read_text())
    reasons = {Path(one["name"]).name: one["reason"] for one in info["rejected"]}
    assert reasons.keys() == {bad.name for bad in BAD}
    assert all(bad.reason in reasons[bad.name] for bad in BAD)
    indices = {Path(name).name: index for index, name in enumerate(store.info.names)}
    for good in GOOD:
        difference = np.abs(store.image(indices[good.name]).astype(int) - good.pixels)
        assert difference.max() <= good.tolerance, good.name


def test_check_finds_the_same(zoo: Path) -> None:
    findings = check(folder_source(zoo))
    unreadable = {Path(f.name).name: f.detail for f in findings if f.issue == "unreadable"}
    assert unreadable.keys() == {bad.name for bad in BAD}
    assert all(bad.reason in unreadable[bad.name] for bad in BAD)
    misnamed = {Path(f.name).name: f.detail for f in findings if f.issue == "format"}
    assert misnamed["a PNG.JPEG"] == "is a PNG file"
    assert misnamed["a BMP.png"] == "is a BMP file"


def test_predict_reads_and_rejects_the_same(zoo: Path, trained: RunFolder) -> None:
    paths = sorted(path for path in zoo.rglob("*") if path.is_file())
    problems = {Path(p.image).name: p.error for p in load(trained.path, "cpu").predict(paths)}
    for bad in BAD:
        assert problems.pop(bad.name, "").find(bad.reason) >= 0, bad.name
    assert not any(problems.values())


@pytest.mark.slow
def test_training_names_them_and_stops_above_the_fraction(
    command: Command, zoo: Path, tmp_path: Path
) -> None:
    words = ("train", "--data", zoo, "--epochs", "1", "--arch", "alexnet_bn", "--width", "0.05",
             "--input-size", "67", "--resize-size", "72", "--crop-size", "67")  # fmt: skip
    result = command(*words, "--out", tmp_path / "run")
    assert result.code == 2
    sentence = f"{len(BAD)} of {len(BAD) + len(GOOD)} images cannot be used"
    assert sentence in result.err
    assert "--max-rejected-fraction" in result.err
    assert not (tmp_path / "run").exists()
    result = command(*words, "--out", tmp_path / "run", "--max-rejected-fraction", "0.5")
    assert result.code == 0
    assert f"{sentence}: a/" in result.err
    rejected = json.loads((tmp_path / "run" / "result.json").read_text())["rejected"]
    assert {Path(one["name"]).name for one in rejected} == {bad.name for bad in BAD}


def test_thirty_thousand_pixels_wide(tmp_path: Path) -> None:
    wide = np.repeat(COLORS[:4], 30_000 // SIDE, 1)
    (tmp_path / "wide.png").write_bytes(encode(wide, "PNG"))
    expected = Image.fromarray(wide).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    assert np.array_equal(read(tmp_path / "wide.png"), np.asarray(expected))
    with open_image(tmp_path / "wide.png") as image:
        middle = decode(image, "shortest_edge", 4)
    assert np.array_equal(middle, wide[:, 14_998:15_002])


def within(seconds: float, work: Callable[[], object]) -> object:
    """The result of `work`, which must not take longer."""
    given: list[object] = []
    thread = threading.Thread(target=lambda: given.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert given, "it waits"
    return given[0]


def special_files(folder: Path) -> None:
    """Pipes, sockets, devices and links, under names of images."""
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


def test_special_files_are_skipped_without_waiting(tmp_path: Path, command: Command) -> None:
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(encode(COLORS + len(name), "PNG"))
    special_files(tmp_path / "set" / "a")
    source = within(10, lambda: folder_source(tmp_path / "set"))
    assert isinstance(source, Source)
    assert source.names == ("a/1.png", "b/1.png")
    assert source.skipped == {
        "dangling link": 2,
        "folder seen before": 1,
        "not a regular file": 3,
    }
    result = within(20, lambda: command("data", "prepare", tmp_path / "set", "--resize-size", "8"))
    assert "not a regular file 3" in result.out  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["pipe.png", "zero.png", "socket.png", "gone.png", "self.png", ""])
def test_an_image_replaced_by_a_special_file_is_rejected(tmp_path: Path, name: str) -> None:
    """Between listing and reading; a CSV file may name one directly, too."""
    special_files(tmp_path)
    (tmp_path / "whole.png").write_bytes(encode(COLORS, "PNG"))
    source = Source(
        name="replaced",
        class_names=("a", "b"),
        names=("whole", "replaced"),
        labels=np.array([0, 1]),
        splits=("", ""),
        images=ImageFiles(tmp_path, ("whole.png", name)),
    )
    store = within(10, lambda: prepare(source, StoredForm(resize="stretch", resize_size=SIDE)))
    (rejected,) = store.info.rejected
    assert rejected.name == "replaced"
    assert str(tmp_path) not in rejected.reason
    assert rejected.reason


def test_predict_does_not_wait_for_a_pipe(trained: RunFolder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (one,) = within(10, lambda: load(trained.path, "cpu").predict([tmp_path / "pipe.png"]))  # type: ignore[misc, attr-defined]
    assert one.error == "not a regular file"


def test_a_csv_that_is_a_pipe_or_names_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(DataError, match="cannot be read as a CSV file: not a regular file"):
        list_source(tmp_path / "list.csv")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "other.csv").write_text("pipe.png,a\n" + "x" * 300 + ".png,b\n")
    with pytest.raises(DataError, match=r"2 images do not exist or are not files, first 'pipe"):
        list_source(tmp_path / "other.csv")


def test_a_class_without_a_usable_image_stops_training(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    """However few images it has: the network cannot learn it."""
    source = folder_source(flowers)
    folder = tmp_path / "set"
    for name, label in zip(source.names, source.labels, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = (flowers / name).read_bytes()
        path.write_bytes(b"" if label == 0 else whole)
    result = command("train", "--data", folder, "--epochs", "1", "--max-rejected-fraction", "0.2")
    assert result.code == 2
    assert f"class {source.class_names[0]!r} has no usable training image" in result.err
    assert "(the file is empty)" in result.err


@pytest.mark.slow
def test_a_thousand_classes(tmp_path: Path) -> None:
    content = [encode(COLORS[: i % 7 + 1], "BMP") for i in range(7)]
    for i in range(1000):
        (tmp_path / f"class {i}").mkdir()
        (tmp_path / f"class {i}" / "1.bmp").write_bytes(content[i % 7])
    source = folder_source(tmp_path)
    store = prepare(source, StoredForm(resize="stretch", resize_size=4))
    assert len(store.info.class_names) == len(set(store.labels.tolist())) == 1000
    assert store.info.rejected == ()
