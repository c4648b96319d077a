"""CSV files as data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.data.datasets.image_lists.source import list_source
from alexnet.errors import DataError
from support.drawing import draw_all


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
    source = list_source(csv_file(tmp_path, text))
    assert source.name == "list"
    assert source.class_names == ("iris", "rose")
    assert source.names == ("3.png", "p/1.png", "p/2.png")
    assert source.labels.tolist() == [1, 1, 0]
    assert source.splits == ("", "", "")
    with source.images.open(1) as image:
        assert image.size == (4, 3)


def test_csv_with_splits(tmp_path: Path) -> None:
    text = "p/1.png,rose,train\np/2.png,iris,TRAIN\n3.png,rose,valid\n"
    assert list_source(csv_file(tmp_path, text)).splits == ("val", "train", "train")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("path,label\n", "names no images"),
        ("p/1.png,rose\np/2.png\n", r"line 2: 'p/2.png' has 1 value; expected path,label"),
        ("p/1.png,rose\np/2.png,iris,train\n", "line 2: .* has 3 values"),
        ("a,b,c,d\n", "line 1: 'a,b,c,d' has 4 values"),
        ("p/1.png,rose\n3.png,\n", "line 2: the label is empty"),
        ("p/1.png,rose,train\n3.png,iris,later\n", "line 2: split 'later' is unknown"),
        ("p/1.png,rose,train\n3.png,iris,\n", "line 2: split '' is unknown"),
        ("p/1.png,rose\n3.png,iris\np/1.png,iris\n", "line 3: 'p/1.png' is on line 1 already"),
        (
            "no.png,rose\n3.png,iris\nnot.png,iris\n",
            "2 images do not exist or are not files, first 'no.png' on",
        ),
        ('p/1.png,"rose\n', "cannot be read as a CSV"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        list_source(csv_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_csv_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x00\xff\xfe\x81a")
    with pytest.raises(DataError, match="cannot be read as a CSV file"):
        list_source(tmp_path / "x.csv")
    with pytest.raises(DataError, match="No such file"):
        list_source(tmp_path / "none.csv")
