"""From a name or path to an image store, and the report of what cannot be used."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.config.preprocessing import StoredForm
from alexnet.data import load_dataset, open_source
from alexnet.data.load import report_rejected
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Skipped
from alexnet.errors import ConfigError, DataError, UnknownNameError
from alexnet.reporter import NullReporter
from support.noise_stores import TINY_FORM, write_images
from support.runs import Witness


class Notes(NullReporter):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_folder_becomes_a_store_with_the_defaults_of_training(
    tmp_path: Path, witness: Witness
) -> None:
    store = load_dataset(str(write_images(tmp_path)), reporter=witness)
    assert (store.info.resize, store.info.side) == ("shortest_edge", 256)
    assert witness.progress["on_prepare"][-1] == (12, 12)
    again = load_dataset(str(tmp_path / "images"), resize="shortest_edge", resize_size=256)
    assert again.folder == store.folder


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"resize": "strech"}, "unknown resize 'strech'; did you mean stretch?"),
        ({"resize": None}, "unknown resize 'None'; known: shortest_edge, stretch"),
        ({"store_format": "jpg"}, "unknown store_format 'jpg'; did you mean jpeg?"),
        ({"resize_size": 0}, "(resize_size) must be a whole number from 1 to 4096, not 0"),
        ({"resize_size": -3}, "from 1 to 4096, not -3"),
        ({"resize_size": 4097}, "from 1 to 4096, not 4097"),
        ({"resize_size": 16.0}, "from 1 to 4096, not 16.0"),
        ({"resize_size": "16"}, "from 1 to 4096, not '16'"),
    ],
)
def test_a_form_that_no_store_has_is_told_before_anything_is_decoded(
    tmp_path: Path, wrong: dict[str, Any], text: str, witness: Witness
) -> None:
    folder = str(write_images(tmp_path))
    with pytest.raises((ConfigError, UnknownNameError), match=re.escape(text)):
        load_dataset(folder, **{"resize_size": 8, **wrong}, reporter=witness)
    with pytest.raises((ConfigError, UnknownNameError), match=re.escape(text)):
        StoredForm(**wrong)
    assert witness.progress == {}


def test_a_side_may_be_an_integer_of_numpy(tmp_path: Path) -> None:
    folder = str(write_images(tmp_path))
    store = load_dataset(folder, resize_size=np.int64(8))  # type: ignore[arg-type]
    assert load_dataset(folder, resize_size=8).folder == store.folder


def test_images_without_labels_only_where_they_are_allowed(tmp_path: Path) -> None:
    folder = str(write_images(tmp_path) / "a")
    with pytest.raises(DataError, match="has no class folders"):
        load_dataset(folder, resize_size=8)
    assert len(load_dataset(folder, resize_size=8, allow_unlabelled=True)) == 6


def test_rejected_images_and_skipped_files_are_reported(tmp_path: Path) -> None:
    store = load_dataset(str(write_images(tmp_path)), resize_size=8)
    skipped = (Skipped(reason="hidden", files=3), Skipped(reason="not an image", files=2))
    skipped = (*skipped, Skipped(reason=".heic", files=1200))
    store = replace(store, info=replace(store.info, skipped=skipped))
    reporter = Notes()
    report_rejected(store, 0.1, reporter)
    assert reporter.notes[0] == "files skipped: .heic 1,200, not an image 2"
    assert reporter.notes[1].startswith("1 of 12 images cannot be used: b/1.png (a text file, not")
    with pytest.raises(DataError, match=r"1 of 12 images .*--max-rejected-fraction"):
        report_rejected(store, 0.05, Notes())


def test_notes_of_the_source_are_reported_and_not_stored(tmp_path: Path) -> None:
    source = open_source(str(write_images(tmp_path)))
    store = prepare(replace(source, notes=("labels are the column 'x'",)), TINY_FORM)
    reporter = Notes()
    report_rejected(store, 1.0, reporter)
    assert reporter.notes[0] == "labels are the column 'x'"
    assert prepare(source, TINY_FORM).notes == ()
