"""Folders as data sets."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.datasets.folder import folder_source
from alexnet.errors import DataError
from support.drawing import draw, draw_all


def test_class_folders_leave_the_split_open(tmp_path: Path) -> None:
    draw_all(tmp_path, "rose/2.jpg", "rose/1.png", "iris/deep/er/x.JPG", "iris/a.gif")
    source = folder_source(tmp_path)
    assert source.name == tmp_path.name
    assert source.class_names == ("iris", "rose")
    assert source.names == ("iris/a.gif", "iris/deep/er/x.JPG", "rose/1.png", "rose/2.jpg")
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert source.labels.dtype == np.int64
    assert source.splits == ("",) * 4
    assert source.skipped == {}
    with source.images.open(2) as image:
        assert image.size == (4, 3)


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    draw_all(tmp_path, "Train/a/1.png", "Train/b/1.png", f"{val}/a/2.png", "TEST/b/3.png")
    source = folder_source(tmp_path)
    assert source.class_names == ("a", "b")
    assert dict(zip(source.names, source.splits, strict=True)) == {
        "Train/a/1.png": "train",
        "Train/b/1.png": "train",
        f"{val}/a/2.png": "val",
        "TEST/b/3.png": "test",
    }
    assert source.names == tuple(sorted(source.names))


def test_train_alone_leaves_the_split_open(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/a/1.png", "train/b/1.png")
    assert folder_source(tmp_path).splits == ("", "")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/1.png", "plane/1.png", "car/1.png")
    assert folder_source(tmp_path).class_names == ("car", "plane", "train")


def test_unlabelled_test_folder_and_others_are_counted(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png", "extra/1.png")
    source = folder_source(tmp_path)
    assert source.names == ("train/a/1.png", "train/b/1.png")
    assert source.skipped == {"not in a class folder": 2, "outside the splits": 1}


def test_what_is_no_image_is_skipped_and_counted(tmp_path: Path) -> None:
    draw_all(tmp_path, "a/1.png", "b/1.png", "a/.hidden.png", "__MACOSX/a/1.png", "top.png")
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "b" / "notes.txt").write_text("x")
    (tmp_path / "README").write_text("x")
    (tmp_path / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "b" / "self.png").symlink_to(tmp_path / "b" / "self.png")
    os.mkfifo(tmp_path / "b" / "pipe.png")
    source = folder_source(tmp_path)
    assert source.names == ("a/1.png", "b/1.png")
    assert source.skipped == {
        ".txt": 1,
        "dangling link": 2,
        "hidden": 3,
        "not an image": 1,
        "not a regular file": 1,
        "not in a class folder": 1,
    }


@pytest.mark.parametrize(
    "name",
    ["$RECYCLE.BIN", "RECYCLER", "System Volume Information", "found.000", "lost+found", "@eaDir",
     "#recycle", "@Recycle", "#snapshot", "~snapshot", "@Recently-Snapshot", "__MACOSX", ".Trash"],
)  # fmt: skip
def test_folders_of_the_system_are_no_classes(tmp_path: Path, name: str) -> None:
    draw_all(tmp_path, "a/1.png", "b/1.png", f"{name}/S-1-5/1.png", f"a/{name}/1.png")
    (tmp_path / name / "locked").mkdir(mode=0)
    (tmp_path / name).chmod(0)
    assert folder_source(tmp_path).names == ("a/1.png", "b/1.png")
    (tmp_path / name).chmod(0o700)
    assert folder_source(tmp_path).skipped == {"hidden": 2}


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    draw_all(tmp_path, "set/a/1.png", "else/b/1.png")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "else" / "b")
    (tmp_path / "set" / "a" / "linked.png").symlink_to(tmp_path / "set" / "a" / "1.png")
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set" / "a")
    source = folder_source(tmp_path / "set")
    assert source.names == ("a/1.png", "a/linked.png", "b/1.png")
    assert source.skipped == {"folder seen before": 1}


def test_fingerprint_follows_the_files(tmp_path: Path) -> None:
    draw_all(tmp_path, "a/1.png", "b/1.png")
    before = folder_source(tmp_path).fingerprint()
    assert folder_source(tmp_path).fingerprint() == before
    draw(tmp_path / "b" / "2.png")
    assert folder_source(tmp_path).fingerprint() != before


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere' does not exist"):
        folder_source(tmp_path / "nowhere")
    draw(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"x.png' is not a folder"):
        folder_source(tmp_path / "x.png")


def test_no_class_folders_shows_both_layouts(tmp_path: Path) -> None:
    draw(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"no class folders; .*CLASS/image.*train/CLASS/image"):
        folder_source(tmp_path)
    draw_all(tmp_path, "train/x.png", "test/x.png")
    with pytest.raises(DataError, match="no class folders"):
        folder_source(tmp_path)


def test_empty_class_folder(tmp_path: Path) -> None:
    draw_all(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "drawing.svg").write_bytes(b"x")
    with pytest.raises(
        DataError, match=r"/c' has no images that are read, only \.svg 1; fill or rem"
    ):
        folder_source(tmp_path)
    source = folder_source(tmp_path, allow_empty=True)
    assert source.class_names == ("a", "b")
    assert list(source.empty_classes) == ["c"]


@pytest.mark.parametrize("layout", ["{}", "train/{}", "photos/{}"])
def test_all_class_folders_are_empty(tmp_path: Path, layout: str) -> None:
    first, second = (tmp_path / layout.format(label) for label in "ab")
    first.mkdir(parents=True)
    second.mkdir()
    (second / ".gitkeep").touch()
    message = f"^{re.escape(repr(str(first)))} has no images; fill or remove that folder$"
    for allow_empty in (False, True):
        with pytest.raises(DataError, match=message):
            folder_source(tmp_path, allow_empty=allow_empty)


def test_a_class_without_images_in_one_split(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png")
    (tmp_path / "test" / "b").mkdir()
    source = folder_source(tmp_path)
    assert source.class_names == ("a", "b")
    assert source.names == ("test/a/1.png", "train/a/1.png", "train/b/1.png")


@pytest.mark.parametrize("layout", ["{}/1.tga", "train/{}/1.tga", "{}/images/1.tga"])
def test_class_folders_of_another_kind_of_image(tmp_path: Path, layout: str) -> None:
    for label in ("a", "b"):
        path = tmp_path / layout.format(label)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    with pytest.raises(DataError, match=r"has no images that are read, only \.tga 2; use CLASS"):
        folder_source(tmp_path)


@pytest.mark.parametrize("name", ["labels.csv", "data/labels.csv"])
def test_a_list_in_the_folder_is_named(tmp_path: Path, name: str) -> None:
    draw_all(tmp_path, "data/images/1.png", "data/images/2.png")
    (tmp_path / name).write_text("image,label\n1.png,a\n2.png,b\n")
    with pytest.raises(DataError, match=f"If '{re.escape(str(tmp_path / name))}' lists the images"):
        folder_source(tmp_path)


@pytest.mark.parametrize("split", ["test", "val"])
def test_one_split_alone_keeps_its_name(tmp_path: Path, split: str) -> None:
    draw_all(tmp_path, f"{split}/a/1.png", f"{split}/b/1.png")
    assert folder_source(tmp_path).splits == (split, split)


def test_classes_may_differ_between_splits(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/a/1.png", "train/b/1.png", "val/c/1.png")
    assert folder_source(tmp_path).class_names == ("a", "b", "c")


def test_one_class(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png")
    assert folder_source(tmp_path).class_names == ("a",)


def test_nfc_and_nfd_are_one_class_and_files_keep_their_names(tmp_path: Path) -> None:
    composed, decomposed = "ros\u00e9", "rose\u0301"
    draw_all(tmp_path, f"train/{composed}/1.png", "train/b/1.png", f"test/{decomposed}/2.png")
    source = folder_source(tmp_path)
    assert source.class_names == ("b", composed)
    assert source.names == (f"test/{decomposed}/2.png", "train/b/1.png", f"train/{composed}/1.png")
    with source.images.open(0) as image:
        assert image.size == (4, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_that_may_not_be_read(tmp_path: Path) -> None:
    draw_all(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b").chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        folder_source(tmp_path)
    (tmp_path / "b").chmod(0o700)
