"""Labels of every form, and rows that contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.source import Source
from alexnet.errors import DataError
from support.drawing import draw_all


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_all(tmp_path, "1.png", "2.png", "3.png")
    return tmp_path


def read(folder: Path, text: str) -> Source:
    (folder / "list.csv").write_text(text, encoding="utf-8")
    return list_source(folder / "list.csv")


def test_one_hot_columns_are_one_label(folder: Path) -> None:
    text = "filename, rose, iris, lily\n1.png,1,0,0\n2.png, 0, 1, 0\n3.png,0,0.0,1.0\n"
    source = read(folder, text)
    assert source.class_names == ("iris", "lily", "rose")
    assert source.labels.tolist() == [2, 0, 1]
    assert source.notes == ("3 columns of 0 and 1 were read as one label an image",)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1,1,0", "line 3 has 2 labels, 'rose' and 'iris'; .* keep one label per image"),
        ("0,0,0", "line 3: none of its 3 columns is 1"),
    ],
)
def test_one_hot_columns_with_another_number_of_labels(
    folder: Path, row: str, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        read(folder, f"image,rose,iris,lily\n1.png,1,0,0\n2.png,{row}\n3.png,0,0,1\n")


@pytest.mark.parametrize(
    "label", ["cat dog", '"cat,dog"', "cat|dog", "cat; dog", "\"['cat', 'dog']\""]
)
def test_several_labels_of_an_image(folder: Path, label: str) -> None:
    with pytest.raises(DataError, match=r"line 4 has 2 labels, 'cat' and 'dog'; .*multi-label"):
        read(folder, f"image,labels\n1.png,cat\n2.png,dog\n3.png,{label}\n")


def test_several_numbers_are_several_labels(folder: Path) -> None:
    with pytest.raises(DataError, match=r"line 3 has 3 labels, '16' and '0', \.\.\."):
        read(folder, "Id,Target\n1.png,5\n2.png,16 0 7\n")


def test_labels_of_several_words(folder: Path) -> None:
    """Also where each word is a label, in a list that `data split` wrote."""
    source = read(folder, "1.png,orange tree\n2.png,orange\n")
    assert source.class_names == ("orange", "orange tree")
    rows = "1.png,orange tree,train\n2.png,orange,train\n3.png,tree,train\n"
    source = read(folder, f"path,label,split\n{rows}")
    assert source.class_names == ("orange", "orange tree", "tree")
    assert source.notes == ("'orange tree' is taken as one class, not as 2 labels",)


def test_a_list_of_one_label(folder: Path) -> None:
    source = read(folder, 'image,labels\n1.png,[\'cat\']\n2.png,"[""dog""]"\n3.png,[x\n')
    assert source.class_names == ("[x", "cat", "dog")
    deep = "[" * 60_000 + "]" * 60_000
    assert read(folder, f"image,label\n1.png,{deep}\n2.png,b\n").class_names == (deep, "b")


def test_whole_numbers_as_pandas_writes_them(folder: Path) -> None:
    source = read(folder, "path,label\n1.png,3.0\n2.png,10.0\n3.png,2\n")
    assert source.class_names == ("10", "2", "3")
    assert source.notes == ("labels are whole numbers: 3.0 was read as 3",)


@pytest.mark.parametrize("labels", [("3.0", "2.5", "1.0"), ("03", "10", "2"), ("-1", "0", "1")])
def test_other_numbers_stay_as_they_are(folder: Path, labels: tuple[str, ...]) -> None:
    source = read(folder, "".join(f"{i}.png,{x}\n" for i, x in enumerate(labels, start=1)))
    assert source.class_names == tuple(sorted(labels))
    assert source.notes == ()


def test_labels_that_differ_in_case_alone_are_noted(folder: Path) -> None:
    source = read(folder, "1.png,RED\n2.png,red\n3.png,blue\n")
    assert source.class_names == ("RED", "blue", "red")
    assert source.notes == (
        "the classes 'RED' and 'red' differ in upper and lower case alone; "
        "if they are one class, write it in one way",
    )


@pytest.mark.parametrize("name", ["1.png", "./1.png", ".\\1.png", ".//1.png"])
def test_a_row_that_repeats_an_image_counts_once(folder: Path, name: str) -> None:
    source = read(folder, f"1.png,a\n2.png,b\n{name},a\n")
    assert source.names == ("1.png", "2.png")
    assert source.skipped == {"rows that repeat an image": 1}


def test_a_list_of_boxes(folder: Path) -> None:
    header = "filename,width,height,class,xmin,ymin,xmax,ymax"
    rows = ["1.png,4,3,cat,0,0,1,1", "1.png,4,3,cat,1,1,2,2", "2.png,4,3,dog,0,0,1,1"]
    source = read(folder, "\n".join((header, *rows)))
    assert source.names == ("1.png", "2.png")
    assert source.skipped == {"rows that repeat an image": 1}
    rows[1] = rows[1].replace("cat", "dog")
    with pytest.raises(DataError, match=r"line 3: .* boxes, so it is a list for object detection"):
        read(folder, "\n".join((header, *rows)))


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (
            "1.png,a\n2.png,b\n./1.png,b\n",
            "line 3: './1.png' is on line 1 already, with the label 'a'",
        ),
        (
            "1.png,a,train\n2.png,b,train\n1.png,a,test\n",
            "line 3: .* split 'train' in place",
        ),
    ],
)
def test_rows_that_contradict_each_other(folder: Path, rows: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read(folder, rows)


@pytest.mark.parametrize("form", ["{folder}/1.png", "../{folder.name}/1.png", "x/..//1.png"])
def test_an_image_that_is_written_in_two_ways(folder: Path, form: str) -> None:
    (folder / "x").mkdir()
    second = form.format(folder=folder)
    source = read(folder, f"1.png,a\n2.png,b\n{second},a\n")
    assert (len(source), source.skipped) == (2, {"rows that repeat an image": 1})
    with pytest.raises(DataError, match=r"line 3: .* is on line 1 already, with the label 'a'"):
        read(folder, f"1.png,a\n2.png,b\n{second},b\n")
    with pytest.raises(DataError, match=r"line 4: .* is on line 2 already as '1'"):
        read(folder, f"path,label\n1,a\n2,b\n{second},b\n")


@pytest.mark.parametrize("label", ["nan", "N/A", "<NA>", "?"])
def test_labels_of_missing_values_are_noted(folder: Path, label: str) -> None:
    source = read(folder, f"image,label\n1.png,{label}\n2.png,rose\n3.png,{label}\n")
    (note,) = source.notes
    assert note.startswith(f"2 images have the label '{label}', which is taken as a class")
