"""Decisions: what is read, what is refused, and that originals never change."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from alexnet.data.datasets.folder import folder_source
from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.source import Source
from alexnet.errors import AlexNetError, DataError, UsageError
from alexnet.label_errors.decisions import Decision, corrected, read_decisions, write_corrected

HEAD = "image,label,decision,new_label\n"
HOSTILE = "<img src=x onerror=alert(1)>, \"b'&.png"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    names = ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", f"dog/{HOSTILE}")
    for name in names:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (len(name), 0, 0)).save(tmp_path / "set" / name)
    return folder_source(tmp_path / "set")


def write(tmp_path: Path, *rows: tuple[str, ...]) -> Path:
    path = tmp_path / "decisions.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEAD.strip().split(","), *rows])
    return path


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def by_class(source: Source) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, label in zip(source.names, source.labels, strict=True):
        found.setdefault(source.class_names[label], []).append(Path(name).name)
    return {label: sorted(names) for label, names in found.items()}


@pytest.mark.parametrize("out", ["new.csv", "new"])
def test_decisions_make_a_new_data_set_and_change_no_original(
    source: Source, tmp_path: Path, out: str
) -> None:
    before = tree(tmp_path / "set")
    path = write(
        tmp_path,
        ("cat/2.png", "cat", "relabel", "dog"),
        ("dog/1.png", "dog", "drop", ""),
        ("dog/2.png", "dog", "keep", "cat"),
        ("cat/1.png", "cat", "", "dog"),
        (f"dog/{HOSTILE}", "dog", "relabel", "cat"),
    )
    found = corrected(source, read_decisions(path))
    assert (found.num_relabelled, found.num_dropped) == (2, 1)
    write_corrected(source, found, tmp_path / out)
    new = list_source(tmp_path / out) if out.endswith(".csv") else folder_source(tmp_path / out)
    classes = by_class(new)
    assert classes["cat"] == sorted(["1.png", HOSTILE])
    assert len(classes["dog"]) == 2
    assert all(name.endswith("2.png") for name in classes["dog"])
    assert not any(new.splits)
    assert tree(tmp_path / "set") == before
    with pytest.raises(UsageError, match="exists"):
        write_corrected(source, found, tmp_path / out)


def test_splits_stay(source: Source, tmp_path: Path) -> None:
    source = replace(source, splits=("train", "train", "train", "test", "test"))
    found = corrected(
        source, read_decisions(write(tmp_path, ("dog/2.png", "dog", "relabel", "cat")))
    )
    write_corrected(source, found, tmp_path / "new.csv")
    new = list_source(tmp_path / "new.csv")
    assert sorted(zip(new.names, new.splits, strict=True))[0][1] == "train"
    assert sorted(new.splits) == sorted(source.splits)


def test_a_file_without_decisions_is_refused(source: Source, tmp_path: Path) -> None:
    path = write(tmp_path, ("cat/1.png", "cat", "", "dog"))
    with pytest.raises(DataError, match="no decision, so the new data set would be the old one"):
        corrected(source, read_decisions(path))


def test_a_new_folder_within_the_data_is_refused(source: Source, tmp_path: Path) -> None:
    found = corrected(source, read_decisions(write(tmp_path, ("cat/1.png", "cat", "keep", ""))))
    with pytest.raises(UsageError, match="stays as it is"):
        write_corrected(source, found, tmp_path / "set" / "new")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("cat/9.png", "cat", "drop", ""), "is not an image of set"),
        (("cat/1.png", "dog", "drop", ""), "was in class 'dog'"),
        (("cat/1.png", "cat", "relabel", "dgo"), "did you mean dog"),
        (("cat/1.png", "cat", "relabel", ""), "line 2: relabel needs a new_label"),
        (("cat/1.png", "cat", "delete", ""), "line 2: the decision 'delete'"),
    ],
)
def test_a_decision_that_does_not_fit_is_refused(
    source: Source, tmp_path: Path, row: tuple[str, ...], message: str
) -> None:
    with pytest.raises(AlexNetError, match=message):
        corrected(source, read_decisions(write(tmp_path, row)))


def test_two_decisions_on_an_image_are_refused(source: Source, tmp_path: Path) -> None:
    row = ("cat/1.png", "cat", "drop", "")
    with pytest.raises(AlexNetError, match="has 2 decisions"):
        corrected(source, read_decisions(write(tmp_path, row, row)))


def test_other_files_are_no_decisions(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    cases = {
        b"a,b\n1,2\n": "no column 'image'",
        b"": "no column",
        b"\xff\0": "cannot be read",
    }
    for content, message in cases.items():
        path.write_bytes(content)
        with pytest.raises(AlexNetError, match=message):
            read_decisions(path)
    with pytest.raises(AlexNetError, match="cannot be read"):
        read_decisions(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("first", ["", "sep=;\n"])
def test_a_file_that_a_spreadsheet_saved(tmp_path: Path, encoding: str, first: str) -> None:
    """In Europe with semicolons."""
    rows = "a.png;Gänseblümchen;DROP;\nb.png;iris;relabel;Gänseblümchen\n"
    (tmp_path / "x.csv").write_text(first + HEAD.replace(",", ";") + rows, encoding=encoding)
    assert read_decisions(tmp_path / "x.csv") == [
        Decision("a.png", "Gänseblümchen", "drop", ""),
        Decision("b.png", "iris", "relabel", "Gänseblümchen"),
    ]


def test_spaces_around_words_are_no_part_of_them(source: Source, tmp_path: Path) -> None:
    """As `1.jpg, "rose, red"` has them, written by hand."""
    head = HEAD.replace(",", ", ")
    (tmp_path / "x.csv").write_text(
        f'{head}cat/1.png, cat , "drop",\n"b.png", "rose, red", keep,\n'
    )
    found = read_decisions(tmp_path / "x.csv")
    assert found == [
        Decision("cat/1.png", "cat", "drop", ""),
        Decision("b.png", "rose, red", "keep", ""),
    ]
    assert corrected(source, found[:1]).num_dropped == 1


def test_the_line_of_an_error_counts_blank_ones(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"{HEAD}\n\na.png,a,drop,\n\nb.png,a,burn,\n")
    with pytest.raises(DataError, match="line 6: the decision 'burn'"):
        read_decisions(tmp_path / "x.csv")
