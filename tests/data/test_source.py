"""A data set before decoding: what it rejects, and what changes its fingerprint."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.source import ImageArray, ImageFiles, Source, class_indices
from alexnet.errors import DataError

PIXELS = np.arange(4 * 12, dtype=np.uint8).reshape(4, 2, 2, 3)


def source() -> Source:
    """Four images of two classes."""
    return Source(
        name="four",
        class_names=("a", "b"),
        names=("0", "1", "2", "3"),
        labels=np.array([0, 0, 1, 1]),
        splits=("train", "train", "train", "test"),
        images=ImageArray(PIXELS),
    )


def test_every_change_changes_the_fingerprint() -> None:
    changed = PIXELS.copy()
    changed[3, 1, 1, 2] += 1
    variants = [
        source(),
        replace(source(), class_names=("a", "c")),
        replace(source(), names=("0", "1", "2", "4")),
        replace(source(), labels=np.array([0, 1, 1, 1])),
        replace(source(), splits=("train",) * 4),
        replace(source(), images=ImageArray(changed)),
    ]
    assert len({variant.fingerprint() for variant in variants}) == len(variants)
    assert source().fingerprint() == source().fingerprint()


def test_a_class_whose_name_is_not_utf_8_has_a_fingerprint() -> None:
    """As a folder's name may be."""
    assert len(replace(source(), class_names=("a", "b\udcff")).fingerprint()) == 16


def test_the_signature_of_a_file_is_its_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"1234")
    images = ImageFiles(tmp_path, ("x.png", "lost.png"))
    before, lost = images.signatures()
    os.utime(tmp_path / "x.png", (1, 1))
    assert next(iter(images.signatures())) != before
    assert lost == b"No such file or directory"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("0",)}, "1 names, 4 labels and 4 splits"),
        ({"labels": np.array([0, 0, 1, 2])}, "3 has the label 2, and the 2 classes count from 0"),
        ({"labels": np.zeros(4, np.int64)}, "class 'b' has no images"),
        ({"class_names": ("a", "b\ud83d")}, r"the class 'b\\ud83d' has half of a character"),
    ],
)
def test_what_cannot_be_learned_is_an_error(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(source(), **changes)  # type: ignore[arg-type]


def test_class_names_as_indices() -> None:
    found = class_indices(["b", "a", "b"], ("a", "b"))
    assert (found.tolist(), found.dtype) == ([1, 0, 1], np.int64)
