"""Images of a list that lie elsewhere, or are named in another way."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.source import Source
from alexnet.errors import DataError
from support.drawing import draw_all


def read(path: Path, text: str) -> Source:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return list_source(path)


@pytest.mark.parametrize(
    ("images", "rows"),
    [
        (("a1.jpg", "b2.PNG"), "a1,x\nb2,y\n"),
        (("d/a1.jpg", "d/b2.jpg"), "d\\a1.jpg,x\nd\\b2.jpg,y\n"),
        (("img/x/1.jpg", "img/y/1.jpg"), "C:\\Bo\\img\\x\\1.jpg,x\nC:\\Bo\\img\\y\\1.jpg,y\n"),
        (("img/x/1.jpg", "img/y/1.jpg"), "/home/bo/img/x/1.jpg,x\n/home/bo/img/y/1.jpg,y\n"),
        (("x/1.jpg", "y/1.jpg"), "/content/set/x/1.jpg,x\n/content/set/y/1.jpg,y\n"),
        (("train/a1.jpg", "train/b2.jpg"), "a1,x\nb2,y\n"),
        (("images/a1.jpg", "images/b2.jpg"), "a1.jpg,x\nb2.jpg,y\n"),
        (("x/1.jpg", "y/2.jpg"), "1.jpg,x\n2.jpg,y\n"),
        (("imgs/x/1.jpg", "imgs/y/1.jpg.jpg"), "x/1.jpg,x\ny/1.jpg,y\n"),
        (("Training/1.jpg", "Training/2.jpg"), "1.jpg,x,train\n2.jpg,y,train\n"),
        (("data/train/x/1.jpg", "data/train/y/2.jpg"), "1,x,train\n2,y,train\n"),
        (("IMG_1.JPG", "img_2.jpg"), "img_1.jpg,x\nIMG_2.jpg,y\n"),
        ((unicodedata.normalize("NFD", "é.png"), "b.png"), "é.png,x\nb.png,y\n"),
    ],
)  # fmt: skip
def test_images_that_are_found_in_one_way(
    tmp_path: Path, images: tuple[str, ...], rows: str
) -> None:
    draw_all(tmp_path, *images)
    source = read(tmp_path / "list.csv", rows)
    assert sorted(source.names) == sorted(images)
    assert source.class_names == ("x", "y")
    with source.images.open(0) as image:
        assert image.size == (4, 3)


def test_a_completed_path_is_noted(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/a1.jpg", "train/b2.jpg")
    assert read(tmp_path / "x.csv", "a1,x\nb2,y\n").notes == (
        "paths were completed: 'a1' is 'train/a1.jpg'",
    )
    assert read(tmp_path / "x.csv", "train\\a1.jpg,x\ntrain\\b2.jpg,y\n").notes == ()


@pytest.mark.parametrize("name", ["train.csv", "train_labels.csv", "Training.csv"])
def test_a_list_has_the_name_of_its_folder(tmp_path: Path, name: str) -> None:
    draw_all(tmp_path, "train/1.jpg", "train/2.jpg", "test/1.jpg", "test/2.jpg")
    assert read(tmp_path / name, "1,x\n2,y\n").names == ("train/1.jpg", "train/2.jpg")


def test_images_beside_the_folder_of_the_list(tmp_path: Path) -> None:
    draw_all(tmp_path, "images/1.jpg", "images/2.jpg", "holiday/1.jpg", "holiday/2.jpg")
    source = read(tmp_path / "annotations" / "list.txt", "1 x\n2 y\n")
    assert source.names == ("../images/1.jpg", "../images/2.jpg")


@pytest.mark.parametrize(
    ("images", "rows", "complaint"),
    [
        (
            ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"), "1,x\n2,y\n",
            "'1' may be 'a/1.jpg' or 'b/1.jpg'",
        ),
        (("1.jpg", "1.png", "2.jpg"), "1,x\n2,y\n", "'1' may be '1.jpg' or '1.png' in"),
        (("1.jpg", "2.jpg"), "1.jpg,x\n1,x\n2,y\n", "line 2: '1' is '1.jpg', which is on"),
        (("1.jpg",), "1.jpg,x\n2.jpg,y\n", "1 image does not exist .* '2.jpg' on line 2"),
        (("a/1.jpg", "b/2.jpg"), "1.jpg,x\n2.jpg,y\n", "2 images do not .* are relative to"),
        (("1.jpg",), "D:\\x\\2.jpg,x\nD:\\x\\3.jpg,y\n", "first 'D:.*2.jpg' on line 1; .* another"),
        (("1.jpg",), "/x/2.jpg,x\n/x/3.jpg,y\n", "first '/x/2.jpg' on line 1; .* write paths"),
        (("1.jpg",), "{0},{1}\n{x.y},b\n", r"first '\{0\}' on line 1"),
        (("1.jpg",), "https://x.org/1.jpeg,x\n", "addresses are not read: download the images"),
        (("1.jpg",), "a\0.jpg,b\nc,d\n", "2 images do not exist"),
    ],
)  # fmt: skip
def test_images_that_are_not_found_in_one_way(
    tmp_path: Path, images: tuple[str, ...], rows: str, complaint: str
) -> None:
    draw_all(tmp_path, *images)
    with pytest.raises(DataError, match=complaint):
        read(tmp_path / "list.csv", rows)
