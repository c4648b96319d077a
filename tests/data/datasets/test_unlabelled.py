"""Images without labels: when a folder counts as such, and what is in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.recipe import DataOptions
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.source import Source
from alexnet.data.splits import split
from alexnet.errors import DataError, UnknownNameError


def open_any(data: object) -> Source:
    return open_source(str(data), allow_unlabelled=True)


def test_images_without_class_folders_are_all_for_training(flowers: Path, tmp_path: Path) -> None:
    shutil.copytree(flowers / "train" / "rose", tmp_path / "flat" / "deeper")
    shutil.copy(flowers / "test" / "rose" / "0000.jpg", tmp_path / "flat" / "a.jpg")
    (tmp_path / "flat" / "notes.txt").write_text("text")
    source = open_any(tmp_path / "flat")
    assert source.names == ("a.jpg", *(f"deeper/000{i}.jpg" for i in range(3)))
    assert (source.class_names, source.name) == (("images",), "flat")
    assert source.skipped == {".txt": 1}
    indices, given = source.labels * 0 + range(4), np.array(source.splits)
    parts = split(indices, source.labels, given, source.test_fraction, DataOptions(), 0)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (4, 0, 0)


def test_a_folder_with_classes_keeps_its_splits(flowers: Path, tmp_path: Path) -> None:
    assert set(open_any(flowers).splits) == {"train", "val", "test"}
    assert len(open_any(flowers / "train").class_names) == 12
    shutil.copytree(flowers / "train", tmp_path / "alone" / "train")
    assert len(open_any(tmp_path / "alone").class_names) == 12


def test_what_is_no_data_set_is_an_error_as_for_training(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="toyflowers"):
        open_any("toyflower")
    with pytest.raises(DataError, match="has no images"):
        open_any(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        open_any(tmp_path / "missing")
