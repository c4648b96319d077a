"""Pictures without labels: when a folder counts as such, and what is in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alexnet.config.recipe import DataOptions
from alexnet.data.datasets.unlabelled import open_pictures
from alexnet.data.splits import split
from alexnet.errors import DataError, UnknownNameError


def test_pictures_beside_each_other_are_all_for_training(flowers: Path, tmp_path: Path) -> None:
    shutil.copytree(flowers / "train" / "rose", tmp_path / "flat" / "deeper")
    shutil.copy(flowers / "test" / "rose" / "0000.jpg", tmp_path / "flat" / "a.jpg")
    (tmp_path / "flat" / "notes.txt").write_text("text")
    source = open_pictures(str(tmp_path / "flat"))
    assert source.names == ("a.jpg", *(f"deeper/000{i}.jpg" for i in range(3)))
    assert (source.class_names, source.name) == (("pictures",), "flat")
    assert source.skipped == {"not a picture": 1}
    rows, given = source.labels * 0 + range(4), source.labels.astype(str)
    parts = split("flat", rows, source.labels, given, source.test_fraction, DataOptions(), 0)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (4, 0, 0)


def test_a_folder_with_classes_keeps_its_splits(flowers: Path, tmp_path: Path) -> None:
    assert set(open_pictures(str(flowers)).splits) == {"train", "val", "test"}
    assert len(open_pictures(str(flowers / "train")).class_names) == 12
    shutil.copytree(flowers / "train", tmp_path / "alone" / "train")
    assert len(open_pictures(str(tmp_path / "alone")).class_names) == 12


def test_what_is_no_data_set_is_refused_as_for_training(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="toyflowers"):
        open_pictures("toyflower")
    with pytest.raises(DataError, match="has no pictures"):
        open_pictures(str(tmp_path))
    with pytest.raises(DataError, match="there is no folder"):
        open_pictures(str(tmp_path / "missing"))
