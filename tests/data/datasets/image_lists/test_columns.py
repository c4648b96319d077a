"""Columns are found by the names that people give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.source import Source
from alexnet.errors import DataError
from support.drawing import draw_all

ROWS = (("p/1.png", "rose", "train"), ("p/2.png", "iris", "train"), ("3.png", "rose", "test"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_all(tmp_path, *(name for name, _, _ in ROWS))
    return tmp_path


def read(folder: Path, text: str) -> Source:
    (folder / "list.csv").write_text(text, encoding="utf-8")
    return list_source(folder / "list.csv")


def read_rows(folder: Path, header: str) -> Source:
    width = header.count(",") + 1
    return read(folder, header + "\n" + "\n".join(",".join(row[:width]) for row in ROWS))


@pytest.mark.parametrize(
    "header",
    [
        "filename,label", "file_name,class", "file,category", "image,target", "image_path,species",
        "filepath,labels", "Image Name,Class Name", "IMG,Breed", "image_id,tag", "imgPath,classId",
        "id_code,diagnosis", "Id,Category", "Files,Targets", "path,label ", "photo,variety",
        "filename,groundtruth", "uuid,CLASS", "bild,label", "filename,Sorte", "Image,Id",
    ],
)  # fmt: skip
def test_names_of_image_and_label(folder: Path, header: str) -> None:
    source = read_rows(folder, header)
    assert source.class_names == ("iris", "rose")
    assert source.labels.tolist() == [1, 1, 0]
    assert source.splits == ("", "", "")


@pytest.mark.parametrize(
    "name", ["split", "Set", "subset", "partition", "data set", "PHASE", "usage", "splitt", "teil"]
)
def test_names_of_the_split(folder: Path, name: str) -> None:
    assert read_rows(folder, f"filename,label,{name}").splits == ("test", "train", "train")


@pytest.mark.parametrize(
    ("name", "values", "splits"),
    [
        ("is_valid", ("False", "False", "True"), ("val", "train", "train")),
        ("is_test", ("0", "0", "1"), ("test", "train", "train")),
        ("is_training", ("1", "true", "0"), ("test", "train", "train")),
    ],
)
def test_flags_of_a_split(
    folder: Path, name: str, values: tuple[str, ...], splits: tuple[str, ...]
) -> None:
    lines = [f"{image},{label},{v}" for (image, label, _), v in zip(ROWS, values, strict=True)]
    assert read(folder, "\n".join((f"fname,label,{name}", *lines))).splits == splits


@pytest.mark.parametrize(
    ("names", "values", "splits"),
    [
        ("is_valid,is_test", ("0,0", "1,0", "0,1"), ("train", "val", "test")),
        ("is_test,is_valid", ("0,0", "0,1", "1,0"), ("train", "val", "test")),
        ("is_train,is_valid,is_test", ("1,0,0", "0,1,0", "0,0,1"), ("train", "val", "test")),
        ("is_train,is_valid", ("1,0", "0,1", "0,0"), ("train", "val", "test")),
        ("is_train,is_test", ("1,0", "0,0", "0,1"), ("train", "val", "test")),
    ],
)
def test_several_flags_of_a_split(
    folder: Path, names: str, values: tuple[str, ...], splits: tuple[str, ...]
) -> None:
    lines = [f"{image},{label},{v}" for (image, label, _), v in zip(ROWS, values, strict=True)]
    source = read(folder, "\n".join((f"path,label,{names}", *lines)))
    found = dict(zip(source.names, source.splits, strict=True))
    assert [found[image] for image, *_ in ROWS] == list(splits)
    assert not source.notes


@pytest.mark.parametrize("flags", ["1,1,0", "0,0,0", "1,1,1"])
def test_flags_that_contradict_each_other(folder: Path, flags: str) -> None:
    text = f"path,label,is_train,is_val,is_test\np/1.png,rose,1,0,0\np/2.png,iris,{flags}\n"
    complaint = r"line 3: is_train is '\d' and is_val is '\d' and is_test is '\d'; .* one split"
    with pytest.raises(DataError, match=complaint):
        read(folder, text)


@pytest.mark.parametrize("name", ["split", "set", "fold"])
def test_an_unknown_split_among_known_ones_is_named(folder: Path, name: str) -> None:
    text = f"path,label,{name}\np/1.png,rose,train\np/2.png,iris,tset\n"
    with pytest.raises(DataError, match="line 3: split 'tset' is unknown"):
        read(folder, text)


def test_further_columns_are_ignored_and_noted(folder: Path) -> None:
    source = read(
        folder,
        "filename,width,height,class,fold\np/1.png,4,3,rose,0\np/2.png,4,3,iris,1\n3.png,4,3,rose,0\n",
    )
    assert source.class_names == ("iris", "rose")
    assert source.splits == ("", "", "")
    assert source.notes == ("columns not used: 'width', 'height', 'fold'",)


def test_columns_that_were_guessed_are_noted(folder: Path) -> None:
    assert read_rows(folder, "filename,Sorte").notes == (
        "the labels are those of the column 'Sorte'",
    )
    assert read_rows(folder, "bild,label").notes == ("the images are those of the column 'bild'",)
    assert read_rows(folder, "bild,label,teil").notes == (
        "the splits are those of the column 'teil'",
        "the images are those of the column 'bild'",
    )


def test_the_column_that_holds_images_is_that_of_the_images(folder: Path) -> None:
    source = read(folder, "id,file,label\n7,p/1.png,rose\n8,p/2.png,iris\n9,3.png,rose\n")
    assert source.class_names == ("iris", "rose")
    source = read(folder, "name,foto,label\na,p/1.png,rose\nb,p/2.png,iris\nc,3.png,rose\n")
    assert source.class_names == ("iris", "rose")


def test_two_columns_of_labels_that_say_the_same(folder: Path) -> None:
    header = "class id,filepaths,labels,data set"
    text = f"{header}\n1,p/1.png,rose,train\n0,p/2.png,iris,train\n1,3.png,rose,test\n"
    source = read(folder, text)
    assert source.class_names == ("iris", "rose")
    assert source.splits == ("test", "train", "train")


@pytest.mark.parametrize("name", ["label_name", "Class Name", "class"])
def test_names_are_better_labels_than_numbers(folder: Path, name: str) -> None:
    source = read(folder, f"file,label,{name}\np/1.png,1,rose\np/2.png,0,iris\n3.png,1,rose\n")
    assert source.class_names == (("0", "1") if name == "class" else ("iris", "rose"))
    assert len(source.notes) == 1


def test_two_columns_of_labels_that_differ(folder: Path) -> None:
    text = "file,category,species\np/1.png,flower,rose\np/2.png,flower,iris\n3.png,tree,oak\n"
    with pytest.raises(
        DataError, match=r"different columns of labels, 'category' and 'species'; call"
    ):
        read(folder, text)
    assert read(folder, text.replace("species", "label")).class_names == ("iris", "oak", "rose")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "foto;klasse\np/1.png;rose\n3.png;iris\n",
            "line 1 looks like a header: 'foto;klasse'; name",
        ),
        ("foto,klasse\np/1,rose\n3,iris\n", "line 1 looks like a header: 'foto,klasse'; name"),
        ("path,width,height\np/1.png,4,3\n", "'path', 'width', 'height', is known to hold labels"),
        ("label,a,b\nrose,1,2\n", "known to hold images; call it path"),
        ("filename,split\np/1.png,train\n", "'filename', 'split', is known to hold labels"),
        ("a.png,b,c,d\n", "has 4 values; expected path,label, or a first line with these names"),
    ],
)
def test_columns_that_cannot_be_told(folder: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read(folder, text)


@pytest.mark.parametrize("label", ["{}", "{}.000000"])
def test_mxnets_list(folder: Path, label: str) -> None:
    numbers = {"iris": 0, "rose": 1}
    rows = [(str(i), label.format(numbers[row[1]]), row[0]) for i, row in enumerate(ROWS)]
    source = read(folder, "".join("\t".join(row) + "\n" for row in reversed(rows)))
    assert (source.class_names, source.labels.tolist()) == (("0", "1"), [1, 1, 0])
    assert source.splits == ("", "", "")
