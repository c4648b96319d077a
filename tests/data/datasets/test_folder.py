"""Folders and CSV files as data sets."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets.folder import csv_source, folder_source, list_images
from alexnet.errors import DataError


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (200, 30, 30)).save(path)


def draw_all(folder: Path, *names: str) -> None:
    for name in names:
        draw(folder / name)


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
        "dangling link": 2,
        "hidden": 3,
        "not an image": 2,
        "not a regular file": 1,
        "not in a class folder": 1,
    }


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    draw_all(tmp_path, "set/a/1.png", "else/b/1.png")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "else" / "b")
    (tmp_path / "set" / "a" / "linked.png").symlink_to(tmp_path / "set" / "a" / "1.png")
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set" / "a")
    source = folder_source(tmp_path / "set")
    assert source.names == ("a/1.png", "a/linked.png", "b/1.png")
    assert source.skipped == {"folder seen before": 1}


def test_images_below_are_sorted_by_their_whole_path(tmp_path: Path) -> None:
    draw_all(tmp_path, "z.png", "b/1.png", "a/2.png", "a.png", "b-c/1.png")
    assert list_images(tmp_path, Counter()) == [
        "a.png",
        "a/2.png",
        "b-c/1.png",
        "b/1.png",
        "z.png",
    ]


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
    (tmp_path / "c" / "photo.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"/c' has no images \(.jpg .*fill or remove"):
        folder_source(tmp_path)


def test_class_that_is_not_in_train(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/a/1.png", "train/b/1.png", "val/c/1.png")
    with pytest.raises(DataError, match="class 'c' has no images in train"):
        folder_source(tmp_path)


def test_one_class(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png")
    with pytest.raises(DataError, match="at least two"):
        folder_source(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_that_may_not_be_read(tmp_path: Path) -> None:
    draw_all(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b").chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        folder_source(tmp_path)
    (tmp_path / "b").chmod(0o700)


def csv_file(folder: Path, text: str) -> Path:
    draw_all(folder, "p/1.png", "p/2.png", "3.png")
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "p/1.png,rose\np/2.png,iris\n3.png,rose\n",
        "path,label\n3.png,rose\np/1.png,rose\n\np/2.png,iris\n",
        "\ufeffLabel, Path\nrose,3.png\nrose,p/1.png\niris,p/2.png\n",
    ],
)
def test_csv_without_splits(tmp_path: Path, text: str) -> None:
    source = csv_source(csv_file(tmp_path, text))
    assert source.name == "list"
    assert source.class_names == ("iris", "rose")
    assert source.names == ("3.png", "p/1.png", "p/2.png")
    assert source.labels.tolist() == [1, 1, 0]
    assert source.splits == ("", "", "")
    with source.images.open(1) as image:
        assert image.size == (4, 3)


def test_csv_with_splits(tmp_path: Path) -> None:
    text = "p/1.png,rose,train\np/2.png,iris,TRAIN\n3.png,rose,valid\n"
    assert csv_source(csv_file(tmp_path, text)).splits == ("val", "train", "train")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("path,label\n", "0 class"),
        ("p/1.png,rose\np/2.png\n", r"line 2: 'p/2.png' has 1 values; expected path,label"),
        ("p/1.png;rose\n", r"line 1: 'p/1.png;rose' has 1 values"),
        ("p/1.png,rose\np/2.png,iris,train\n", "line 2: .* has 3 values"),
        ("a,b,c,d\n", "line 1: 'a,b,c,d' has 4 values"),
        ("p/1.png,rose\n3.png,\n", "line 2: the label is empty"),
        ("p/1.png,rose,train\n3.png,iris,later\n", "line 2: split 'later' is unknown"),
        ("p/1.png,rose,train\n3.png,iris,\n", "line 2: split '' is unknown"),
        ("path,label,splitt\n3.png,iris,train\n", "line 1: columns 'path,label,splitt'"),
        ("p/1.png,rose\n3.png,iris\np/1.png,iris\n", "line 3: 'p/1.png' is on line 1 already"),
        (
            "no.png,rose\n3.png,iris\nnot.png,iris\n",
            "2 images do not exist or are not files, first 'no.png' on",
        ),
        ("p/1.png,rose,train\n3.png,iris,test\n", "class 'iris' has no images in train"),
        ("p/1.png,rose\n3.png,rose\n", "at least two"),
        ('p/1.png,"rose\n', "cannot be read as a CSV"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        csv_source(csv_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_csv_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(DataError, match="cannot be read as a CSV file"):
        csv_source(tmp_path / "x.csv")
    with pytest.raises(DataError, match="No such file"):
        csv_source(tmp_path / "none.csv")
