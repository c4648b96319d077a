"""Folders that hold a list of their images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.data.datasets.catalogue import open_source
from alexnet.errors import DataError
from support.drawing import draw_all

LINES = [{"file_name": "1.png", "label": "rose"}, {"file_name": "2.png", "label": "iris"}]


def write_json_lines(path: Path, lines: list[dict[str, str]] = LINES) -> None:
    path.write_text("\n".join(map(json.dumps, lines)))


def test_hugging_face_metadata(tmp_path: Path) -> None:
    draw_all(tmp_path, "1.png", "2.png")
    write_json_lines(tmp_path / "metadata.jsonl")
    source = open_source(str(tmp_path))
    assert (source.names, source.class_names) == (("1.png", "2.png"), ("iris", "rose"))
    assert source.notes == ("the labels are those of metadata.jsonl",)
    (tmp_path / "metadata.csv").write_text("file_name,label\n1.png,lily\n2.png,iris\n")
    assert open_source(str(tmp_path)).class_names == ("iris", "lily")


def test_metadata_in_every_split(tmp_path: Path) -> None:
    draw_all(tmp_path, *(f"{split}/{i}.png" for split in ("train", "validation") for i in (1, 2)))
    for split in ("train", "validation"):
        write_json_lines(tmp_path / split / "metadata.jsonl")
    source = open_source(str(tmp_path))
    assert source.names == ("train/1.png", "train/2.png", "validation/1.png", "validation/2.png")
    assert source.splits == ("train", "train", "val", "val")
    assert source.labels.tolist() == [1, 0, 1, 0]


def test_one_metadata_file_for_all_splits(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/1.png", "test/2.png")
    rows = "file_name,label\ntrain/1.png,rose\ntest/2.png,iris\n"
    (tmp_path / "metadata.csv").write_text(rows)
    assert open_source(str(tmp_path)).splits == ("test", "train")


def test_roboflow_export(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        draw_all(tmp_path, f"{split}/a.png", f"{split}/b.png")
        rows = "filename, rose, iris\na.png, 1, 0\nb.png, 0, 1\n"
        (tmp_path / split / "_classes.csv").write_text(rows)
    source = open_source(str(tmp_path))
    assert source.class_names == ("iris", "rose")
    assert source.splits == ("test", "test", "train", "train", "val", "val")
    assert source.labels.tolist() == [1, 0] * 3


@pytest.mark.parametrize(
    "rows", ["file_name,text\na/1.png,a rose\nb/2.png,an iris\n", "name,label\nBob,x\nEve,y\n"]
)
def test_metadata_without_labels_of_images_leaves_class_folders(tmp_path: Path, rows: str) -> None:
    draw_all(tmp_path, "a/1.png", "b/2.png", "b/3.png")
    (tmp_path / "metadata.csv").write_text(rows)
    source = open_source(str(tmp_path))
    assert source.class_names == ("a", "b")
    assert source.notes == ()


def test_metadata_that_contradicts_itself(tmp_path: Path) -> None:
    draw_all(tmp_path, "1.png")
    write_json_lines(tmp_path / "metadata.jsonl", [LINES[0], {**LINES[0], "label": "iris"}])
    with pytest.raises(DataError, match=r"line 2: '1.png' is on line 1 already"):
        open_source(str(tmp_path))


def test_a_data_set_saved_to_disk_says_how_to_save_it(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "data-00000-of-00001.arrow").write_bytes(b"ARROW1")
    with pytest.raises(DataError, match=r"save_to_disk .* dataset.to_parquet\('train.parquet'\)"):
        open_source(str(tmp_path))


def test_a_folder_with_another_list_says_to_give_that(tmp_path: Path) -> None:
    draw_all(tmp_path, "train/a1.jpg", "train/a2.jpg", "test/t1.jpg")
    (tmp_path / "labels.csv").write_text("id,breed\na1,collie\na2,pug\n")
    (tmp_path / "a_submission.csv").write_text("id,collie,pug\nt1,0.5,0.5\n")
    (tmp_path / "README.txt").write_text("dogs")
    with pytest.raises(DataError, match=r"\. If '.*labels.csv' lists the images, give that file"):
        open_source(str(tmp_path))
    assert open_source(str(tmp_path / "labels.csv")).names == ("train/a1.jpg", "train/a2.jpg")
