"""Tar shards as data sets: what is an image, its label, its class and its split."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.checkpoints.model_file import load_model
from alexnet.config.preprocessing import StoredForm
from alexnet.config.recipe import Recipe
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.datasets.shards.names import missing_shards_note
from alexnet.data.datasets.shards.open import folder_shards_source
from alexnet.data.source import Source
from alexnet.data.store.build import prepare
from alexnet.errors import DataError, UsageError
from alexnet.training.trainer import train
from support.noise_stores import TINY_FORM
from support.runs import empty_plot
from support.shards import (
    labelled_photos,
    photo,
    tar_bytes,
    write_folder,
    write_parquet,
    write_shards,
)

PHOTO = photo(0)


def write(path: Path, *members: tuple[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [(name, one.encode() if isinstance(one, str) else one) for name, one in members]
    path.write_bytes(tar_bytes(content))
    return path


def classes_of(source: Source) -> list[str]:
    return [source.class_names[label] for label in source.labels]


def test_folder_tar_and_parquet_give_the_same_images_in_the_same_order(tmp_path: Path) -> None:
    photos = labelled_photos()
    places = (
        write_folder(tmp_path / "folder", photos),
        write_shards(tmp_path / "shards", photos),
        write_parquet(tmp_path / "parquet", photos),
    )
    sources = [open_source(str(place)) for place in places]
    stores = [prepare(source, StoredForm(resize_size=16)) for source in sources]
    first, *others = stores
    for store in others:
        assert store.info.class_names == first.info.class_names == ("iris", "lily", "rose")
        assert store.info.splits == first.info.splits
        assert np.array_equal(store.labels, first.labels)
        assert np.array_equal(store.images(range(24)), first.images(range(24)))
        assert np.array_equal(store.color_moments, first.color_moments)
    assert len({store.folder for store in stores}) == 3
    assert sources[1].names[:2] == ("test-000000.tar/iris/0.jpg", "test-000000.tar/iris/1.jpg")


@pytest.mark.parametrize(
    ("members", "labels"),
    [
        ([("a.jpg", PHOTO), ("a.cls", "3"), ("b.jpg", PHOTO), ("b.cls", "12\n")], ["3", "12"]),
        ([("a.cls", "rose"), ("a.png", PHOTO), ("x/b.WEBP", PHOTO), ("x/b.cls", "iris")],
         ["rose", "iris"]),
        ([("a.jpg", PHOTO), ("b.jpeg", PHOTO), ("a.json", '{"label": 1, "w": 9}'),
          ("b.json", '{"label": 0, "class_name": "rose"}')], ["1", "rose"]),
        ([("a.jpg", PHOTO), ("a.json", "7"), ("a.txt", "a caption"), ("b.jpg", PHOTO),
          ("b.cls", "8"), ("b.json", '{"label": 1}')], ["7", "8"]),
        ([("./a.seg.png", PHOTO), ("./a.jpg", PHOTO), ("./a.cls.txt", "x"), ("b.jpg", PHOTO),
          ("b.cls", "y"), ("c.jpg", PHOTO), ("d.cls", "y"), ("e.jpg", PHOTO), ("e.cls", "-1")],
         ["x", "y"]),
    ],
    ids=["numbers", "names", "json", "both", "unlabelled"],
)  # fmt: skip
def test_labels(tmp_path: Path, members: list[tuple[str, bytes | str]], labels: list[str]) -> None:
    source = open_source(str(write(tmp_path / "data-0000.tar", *members)))
    assert classes_of(source) == labels
    with source.images.open(0) as image:
        assert image.size == (40, 34)
    skipped = sum(source.skipped.values())
    assert skipped == (0 if len(members) < 8 else 3)


def test_a_label_that_is_half_of_a_character(tmp_path: Path) -> None:
    path = write(tmp_path / "data-0.tar", ("a.jpg", PHOTO), ("a.json", '{"label": "\\ud83d"}'))
    with pytest.raises(DataError, match="has half of a character"):
        open_source(str(path))


def test_names_of_classes_that_are_numbers_are_in_a_list_beside_the_shards(tmp_path: Path) -> None:
    samples = [("a.jpg", PHOTO), ("a.cls", "1"), ("b.jpg", PHOTO), ("b.cls", "0")]
    write(tmp_path / "test" / "0.tar", *samples)
    names = tmp_path / "classnames.txt"
    names.write_text("zebra\nant\n")
    assert classes_of(open_source(str(tmp_path))) == ["ant", "zebra"]
    names.write_text("zebra\n")
    with pytest.raises(DataError, match="has 1 different names of classes, and the largest label"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("train-000000.tar", "train-000001.tar", "val-000000.tar"), ["train", "train", "val"]),
        (("train/0.tar", "train/1.tar", "test/0.tar"), ["test", "train", "train"]),
        (("pets-train-00.tar", "pets-validation-00.tar"), ["train", "val"]),
        (("imagenet1k-train-0000.tar", "imagenet1k-test-0000.tar"), ["test", "train"]),
        (("train-000000.tar", "train-000001.tar"), ["", ""]),
        (("pets-000000.tar", "pets-000001.tar"), ["", ""]),
    ],
)
def test_splits_of_shards(tmp_path: Path, files: tuple[str, ...], splits: list[str]) -> None:
    for number, file in enumerate(files):
        write(tmp_path / file, (f"{number}.jpg", PHOTO), (f"{number}.cls", "ab"[number % 2]))
    assert list(open_source(str(tmp_path)).splits) == splits


def test_names_with_and_without_a_split_are_refused(tmp_path: Path) -> None:
    for name in ("train-0.tar", "more-0.tar"):
        write(tmp_path / name, ("a.jpg", PHOTO), ("a.cls", "a"))
    with pytest.raises(DataError, match=r"more-0.tar means no split, and that of others does"):
        open_source(str(tmp_path))


def test_a_pattern_of_names(tmp_path: Path) -> None:
    for number in range(3):
        write(
            tmp_path / f"s-{number:03d}.tar",
            (f"{number}.jpg", PHOTO),
            (f"{number}.cls", "ab"[number % 2]),
        )
    pattern = f"{tmp_path}/s-{{000..001}}.tar"
    assert open_source(pattern).names == ("s-000.tar/0.jpg", "s-001.tar/1.jpg")
    assert open_source(pattern).name == "s"
    assert len(open_source(f"{tmp_path}/s-*.tar")) == 3
    with pytest.raises(DataError, match=r"the file s-003.tar, and 1 more, is not there"):
        open_source(f"{tmp_path}/s-{{002..004}}.tar")
    with pytest.raises(DataError, match="no range of at most 100,000 numbers"):
        open_source(f"{tmp_path}/s-{{0..99999999999}}.tar")


def test_a_gap_in_the_numbers_is_noted(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        write(tmp_path / f"s-{number:03d}.tar", (f"{number}.jpg", PHOTO), (f"{number}.cls", "a"))
    assert open_source(str(tmp_path)).notes == ("s-002.tar is missing among the shards",)


@pytest.mark.parametrize(
    "names",
    [
        ("s-1699999999.tar",),
        ("s-20240101120000.tar", "s-20240101120001.tar"),
        ("s-1.tar", "s-2.tar", "s-3.tar"),
    ],
)
def test_dates_and_numbers_from_1_have_no_gap(names: tuple[str, ...]) -> None:
    assert missing_shards_note(names) == ""


def test_a_pattern_of_folders(tmp_path: Path) -> None:
    """Files of the same name are told apart by their folders."""
    for number in (0, 1, 2, 10):
        write(tmp_path / f"p{number}/x/d.tar", (f"{number}.jpg", PHOTO), (f"{number}.cls", "a"))
    names = ("p0/x/d.tar/0.jpg", "p1/x/d.tar/1.jpg", "p2/x/d.tar/2.jpg")
    assert open_source(f"{tmp_path}/p{{0..2}}/x/d.tar").names == names
    assert open_source(f"{tmp_path}/p{{0..0}}/x/d.tar").names == names[:1]
    with pytest.raises(DataError, match=r"the file p3/x/d.tar is not there"):
        open_source(f"{tmp_path}/p{{0..3}}/x/d.tar")


def test_a_star_and_a_range(tmp_path: Path) -> None:
    for name in ("a/s-0.tar", "b/s-0.tar", "b/s-1.tar"):
        write(tmp_path / name, ("1.jpg", PHOTO), ("1.cls", "a"))
    names = ("a/s-0.tar/1.jpg", "b/s-0.tar/1.jpg")
    assert open_source(f"{tmp_path}/*/s-{{0..0}}.tar").names == names


def test_an_archive_of_a_folder_is_still_unpacked(tmp_path: Path) -> None:
    """Also one with JSON beside its images."""
    members = [("rose/1.jpg", PHOTO), ("rose/1.json", '{"label": "x"}'), ("iris/1.jpg", PHOTO)]
    source = open_source(str(write(tmp_path / "photos.tar", *members)))
    assert source.class_names == ("iris", "rose")
    write(tmp_path / "folder" / "roses.tar", ("1.jpg", PHOTO))
    with pytest.raises(DataError, match=r"It holds archives \(roses.tar\): unpack them"):
        open_source(str(tmp_path / "folder"))


def test_the_search_for_shards_ends_at_the_first_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path, labelled_photos(1))
    seen, walk = [], os.walk
    monkeypatch.setattr(os, "walk", lambda top: (seen.append(one[0]) or one for one in walk(top)))
    assert folder_shards_source(tmp_path) is None
    assert len(seen) == 3  # the folder, a split and a class


def test_label_from_is_for_folders(tmp_path: Path) -> None:
    write(tmp_path / "s-0.tar", ("a.jpg", PHOTO), ("a.cls", "a"))
    with pytest.raises(UsageError, match="--label-from is for folders of images"):
        open_source(f"{tmp_path}/s-{{0..0}}.tar", label_from="(.)")


def test_what_is_no_image_is_rejected_and_the_rest_stays(tmp_path: Path) -> None:
    members = [("a.jpg", PHOTO), ("a.cls", "a"), ("b.jpg", "no image"), ("b.cls", "b"),
               ("c.jpg", b""), ("c.cls", "b"), ("d.jpg", PHOTO), ("d.cls", "b")]  # fmt: skip
    path = write(tmp_path / "s-0.tar", *members)
    source = open_source(str(path))
    store = prepare(source, TINY_FORM)
    assert [one.index for one in store.info.rejected] == [1, 2]
    before = source.fingerprint()
    write(path, *members[:-2], ("d.jpg", photo(1)), ("d.cls", "b"))
    assert open_source(str(path)).fingerprint() != before


def test_a_json_label_may_stand_in_any_of_the_usual_fields(tmp_path: Path) -> None:
    members: list[tuple[str, bytes | str]] = []
    for number, field in enumerate(("label", "Class", "category_id", "target")):
        members += [(f"{number}.jpg", PHOTO), (f"{number}.json", json.dumps({field: number}))]
    assert classes_of(open_source(str(write(tmp_path / "s-0.tar", *members)))) == list("0123")


@pytest.mark.slow
def test_training_on_each_of_them_ends_in_the_same_bits(tmp_path: Path, small: Recipe) -> None:
    photos, ends = labelled_photos(), []
    for write_all in (write_folder, write_shards, write_parquet):
        data = write_all(tmp_path / write_all.__name__, photos)
        recipe = replace(small, data=str(data), epochs=1, save_every_steps=None)
        run = train(recipe, out=tmp_path / f"run-{data.name}", save_plot=empty_plot)
        weights = load_model(run.folder.model)[0]
        ends.append({name: tensor.numpy().tobytes() for name, tensor in weights.items()})
    assert len(ends[0]) > 4
    assert ends[0] == ends[1] == ends[2]
