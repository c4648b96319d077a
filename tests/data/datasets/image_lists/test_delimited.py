"""Delimited text of every kind gives the same rows."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.source import Source
from alexnet.errors import DataError
from support.drawing import draw_all

NAMES = ("3.png", "p/1.png", "p/2.png")
PLAIN = "p/1.png,rose\np/2.png,iris\n3.png,rose\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_all(tmp_path, *NAMES)
    return tmp_path


def read(folder: Path, content: str | bytes, name: str = "list.csv") -> Source:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list_source(path)


def assert_is_plain(source: Source) -> None:
    assert source.names == NAMES
    assert source.class_names == ("iris", "rose")
    assert source.labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "  "])
@pytest.mark.parametrize("header", ["", "path,label\n", "Label, File Name\n"])
def test_any_separator_with_and_without_a_header(folder: Path, separator: str, header: str) -> None:
    text = header + PLAIN
    if header.startswith("Label"):
        header = header.replace(" ", "")
        text = header + "rose,p/1.png\niris,p/2.png\nrose,3.png\n"
    assert_is_plain(read(folder, text.replace(",", separator), "list.txt"))


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\npath;label\n" + PLAIN.replace(",", ";"),
        "SEP=\t\r\n" + PLAIN.replace(",", "\t").replace("\n", "\r\n"),
        "\ufeffsep=,\r\n" + PLAIN,
        "\r\n" + PLAIN.replace("\n", "\r"),
        'path,label\n"p/1.png","rose"\n"p/2.png","iris"\n"3.png","rose"\n',
        "path;label;;\np/1.png;rose;;\np/2.png;iris;;\n3.png;rose;;\n;;;\n",
        "# path label\np/1.png rose\np/2.png iris\n3.png rose\n",
        ",path,label\n0,p/1.png,rose\n1,p/2.png,iris\n2,3.png,rose\n",
        "Unnamed: 0,path,label\n0,p/1.png,rose\n1,p/2.png,iris\n2,3.png,rose\n",
        "0,p/1.png,rose\n1,p/2.png,iris\n2,3.png,rose\n",
        "rose,p/1.png\niris,p/2.png\nrose,3.png\n",
    ],
)
def test_other_forms_of_the_same_rows(folder: Path, text: str) -> None:
    assert_is_plain(read(folder, text))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", [PLAIN, "path\tlabel\n" + PLAIN.replace(",", "\t")])
def test_byte_order_marks(folder: Path, encoding: str, text: str) -> None:
    assert_is_plain(read(folder, text.encode(encoding)))


def test_utf_16_big_endian(folder: Path) -> None:
    assert_is_plain(read(folder, b"\xfe\xff" + PLAIN.encode("utf-16-be")))


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_compressed(folder: Path, suffix: str, pack: type) -> None:
    source = read(folder, pack(PLAIN.encode()), f"list.csv{suffix}")  # type: ignore[call-arg]
    assert_is_plain(source)
    assert source.name == "list"
    with pytest.raises(DataError, match=r"cannot be read as a CSV file"):
        read(folder, PLAIN, f"x.csv{suffix}")


def test_text_that_unpacks_to_too_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.data.datasets.image_lists.delimited.MAX_CSV_BYTES", 30)
    with pytest.raises(DataError, match="more than 30 bytes"):
        read(folder, gzip.compress(PLAIN.encode()), "list.csv.gz")


def test_windows_text_is_read_with_a_note(folder: Path) -> None:
    text = "path,label\np/1.png,Gänseblümchen\np/2.png,œillet\n3.png,Gänseblümchen\n"
    source = read(folder, text.encode("cp1252"))
    assert source.class_names == ("Gänseblümchen", "œillet")
    assert source.notes == (
        f"{folder / 'list.csv'} is not UTF-8, first on line 2; "
        "it was read as Windows-1252, such as 'p/1.png,Gänseblümchen'",
    )


@pytest.mark.parametrize(("label", "encoding"), [("ромашка", "cp1251"), ("雛菊花", "shift-jis")])
def test_other_alphabets_must_be_utf_8(folder: Path, label: str, encoding: str) -> None:
    with pytest.raises(DataError, match=r"is not UTF-8, first on line 2, .* save it as UTF-8"):
        read(folder, f"p/2.png,iris\np/1.png,{label}\n".encode(encoding))


def test_the_separator_that_gives_images_wins(folder: Path) -> None:
    """Labels may contain commas, semicolons and spaces."""
    source = read(folder, "p/1.png;rose, red\np/2.png;iris, blue\n3.png;rose, red\n")
    assert source.class_names == ("iris, blue", "rose, red")
    source = read(folder, "path,label\np/1.png,a;b\np/2.png,c;d\n3.png,a b\n")
    assert source.class_names == ("a b", "a;b", "c;d")


def test_spaces_in_a_caffe_list(folder: Path) -> None:
    draw_all(folder, "my cat 1.png", "dog.png")
    source = read(folder, "my cat 1.png 0\ndog.png 1\n\n", "val.txt")
    assert source.names == ("dog.png", "my cat 1.png")
    assert source.class_names == ("0", "1")
    with pytest.raises(DataError, match=r"line 1: 'dog.png' has 1 value"):
        read(folder, "dog.png\nmy cat 1.png 0\n", "val.txt")


def test_three_columns_of_words(folder: Path) -> None:
    source = read(folder, "p/1.png rose train\np/2.png iris train\n3.png rose test\n", "x.txt")
    assert source.splits == ("test", "train", "train")
    source = read(folder, "train,p/1.png,rose\ntrain,p/2.png,iris\ntest,3.png,rose\n")
    assert (source.splits, source.class_names) == (("test", "train", "train"), ("iris", "rose"))


def test_the_number_of_the_line_is_that_of_the_file(folder: Path) -> None:
    with pytest.raises(DataError, match="line 4: the label is empty"):
        read(folder, "sep=;\n\npath;label\np/1.png;\n")


@pytest.mark.parametrize("header", ["path,label\n", "# path,label\n", "#path,label\n", ""])
@pytest.mark.parametrize("comments", ["# made by hand\n", "#\n# first\r\n# 2nd, last\n"])
def test_comments_at_the_beginning(folder: Path, header: str, comments: str) -> None:
    assert_is_plain(read(folder, comments + header + PLAIN))


def test_an_image_whose_name_begins_as_a_comment(folder: Path) -> None:
    (folder / "3.png").rename(folder / "#3.png")
    assert read(folder, "#3.png,rose\np/1.png,iris\n").names == ("#3.png", "p/1.png")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_spaces_before_cells(folder: Path, separator: str) -> None:
    rows = [("path", "label"), ("p/1.png", '"rose, red; or | pink"'), ('"p/2.png"', "  iris ")]
    source = read(folder, "\n".join(f"{separator} ".join(row) for row in rows))
    assert source.class_names == ("iris", "rose, red; or | pink")
