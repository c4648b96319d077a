"""A split written down is a data set that reads back as the same split."""

from __future__ import annotations

import csv
import errno
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets.folder import folder_source
from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.export_split import write_split
from alexnet.data.source import ImageArray, Source
from alexnet.errors import DataError, UsageError

PARTS = {"train": np.array([0, 1, 4]), "val": np.array([2]), "test": np.array([3, 5])}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Two classes of three images; the names 1.png come twice within class a."""
    names = ("a/1.png", "a/deep/1.png", "a/x.png", "b,c/1.png", "b,c/2.png", "b,c/3.png")
    for i, name in enumerate(names):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, 0, 0)).save(tmp_path / "set" / name)
    return folder_source(tmp_path / "set")


def reds(source: Source) -> dict[int, tuple[str, str]]:
    """Class and split by the colour that tells the images apart."""
    found = {}
    for row in range(len(source)):
        with source.images.open(row) as image:
            pixel = np.asarray(image)[0, 0]
        found[int(pixel[0])] = (source.class_names[source.labels[row]], source.splits[row])
    return found


EXPECTED = {
    0: ("a", "train"), 1: ("a", "train"), 2: ("a", "val"),
    3: ("b,c", "test"), 4: ("b,c", "train"), 5: ("b,c", "test"),
}  # fmt: skip


@pytest.mark.parametrize(
    "entry", ["unpacked/photos-0123456789abcdef", "data/17flowers/jpg", "data/toyflowers-1"]
)
def test_no_list_names_what_the_cache_may_lose(
    source: Source, tmp_path: Path, cache: Path, entry: str
) -> None:
    shutil.copytree(tmp_path / "set", cache / entry / "set")
    cached = folder_source(cache / entry / "set")
    with pytest.raises(UsageError, match=r"the images of set are in the cache, .* a new folder"):
        write_split(cached, PARTS, tmp_path / "out.csv")
    write_split(cached, PARTS, tmp_path / "out")
    assert reds(folder_source(tmp_path / "out")) == EXPECTED


def test_a_list_may_name_ones_own_images_beside_those_of_the_cache(
    source: Source, tmp_path: Path, cache: Path
) -> None:
    (cache / "data").mkdir()
    (tmp_path / "set").rename(cache / "data" / "pets")
    write_split(folder_source(cache / "data" / "pets"), PARTS, tmp_path / "out.csv")
    assert reds(list_source(tmp_path / "out.csv")) == EXPECTED


def test_as_folders(source: Source, tmp_path: Path) -> None:
    write_split(source, PARTS, tmp_path / "out")
    again = folder_source(tmp_path / "out")
    assert reds(again) == EXPECTED
    assert again.skipped == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]


def test_a_name_that_avoids_another_may_be_taken_too(tmp_path: Path) -> None:
    names = ("a/1/2-x.png", "a/2/x.png", "a/3/x.png", "b/y.png")
    for i, name in enumerate(names):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, 0, 0)).save(tmp_path / "set" / name)
    write_split(folder_source(tmp_path / "set"), {"": np.arange(4)}, tmp_path / "out")
    assert set(reds(folder_source(tmp_path / "out"))) == {0, 1, 2, 3}


def test_as_csv(source: Source, tmp_path: Path) -> None:
    write_split(source, PARTS, tmp_path / "deep" / "out.csv")
    assert reds(list_source(tmp_path / "deep" / "out.csv")) == EXPECTED
    with (tmp_path / "deep" / "out.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["path", "label", "split"]
    assert len(rows) == 6
    assert sorted(path for path, _, _ in rows)[0] == "../set/a/1.png"


def test_a_csv_moves_with_its_images(source: Source, tmp_path: Path) -> None:
    write_split(source, PARTS, tmp_path / "out.csv")
    write_split(source, PARTS, tmp_path / "set" / "lists" / "out.csv")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "set").rename(moved / "set")
    (tmp_path / "out.csv").rename(moved / "out.csv")
    for path in (moved / "out.csv", moved / "set" / "lists" / "out.csv"):
        again = list_source(path)
        assert reds(again) == EXPECTED
        assert again.notes == ()
        write_split(again, PARTS, path.with_name("second.csv"))
        assert len(list_source(path.with_name("second.csv"))) == 6
        write_split(again, PARTS, moved / f"from-{path.parent.name}.csv")
        assert ".." not in (moved / f"from-{path.parent.name}.csv").read_text()


def test_a_csv_far_from_its_images_has_absolute_paths(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "very" / "deep" / "out.csv"
    write_split(source, PARTS, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(Path(row["path"]).is_absolute() for row in rows)
    assert reds(list_source(path)) == EXPECTED


def test_a_linked_image_keeps_its_place(source: Source, tmp_path: Path) -> None:
    """The path is that of the link, which moves with its folder."""
    image = tmp_path / "set" / "a" / "x.png"
    image.rename(tmp_path / "x.png")
    image.symlink_to(Path("../../x.png"))
    write_split(source, PARTS, tmp_path / "out.csv")
    assert "set/a/x.png,a,val" in (tmp_path / "out.csv").read_text()
    assert reds(list_source(tmp_path / "out.csv")) == EXPECTED


def test_a_copy_keeps_the_bytes(source: Source, tmp_path: Path) -> None:
    write_split(source, PARTS, tmp_path / "out")
    original = (tmp_path / "set" / "b,c" / "3.png").read_bytes()
    assert (tmp_path / "out" / "test" / "b,c" / "3.png").read_bytes() == original


@pytest.mark.parametrize("name", ["out", "out.csv"])
def test_what_exists_is_not_touched(source: Source, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        write_split(source, PARTS, tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_images_that_are_no_files_are_rejected(tmp_path: Path) -> None:
    source = Source(
        name="arrays", class_names=("a", "b"), names=("0", "1"), splits=("", ""),
        labels=np.arange(2),
        images=ImageArray(np.zeros((2, 4, 4), np.uint8)),
    )  # fmt: skip
    with pytest.raises(DataError, match="arrays is not made of image files"):
        write_split(source, {"train": np.array([0, 1])}, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_is_gone_leaves_nothing_half_made(source: Source, tmp_path: Path) -> None:
    (tmp_path / "set" / "b,c" / "3.png").unlink()
    with pytest.raises(DataError):
        write_split(source, PARTS, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_classes_that_are_one_folder_on_this_disk_are_rejected(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows and macOS take `B` for `b`; two classes would silently become one."""
    mkdir = Path.mkdir

    def make(folder: Path, *arguments: Any, **options: Any) -> None:
        others = folder.parent.iterdir() if folder.parent.is_dir() else ()
        if any(other.name.casefold() == folder.name.casefold() for other in others):
            raise FileExistsError(errno.EEXIST, "File exists", str(folder))
        mkdir(folder, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", make)
    alike = replace(source, class_names=("rose", "Rose"))
    with pytest.raises(DataError, match="'rose' cannot have a folder of its own here"):
        write_split(alike, {"train": np.array([0, 3])}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    write_split(source, {"train": np.array([0, 3])}, tmp_path / "out")
