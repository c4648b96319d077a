"""Read decisions on suspects from a CSV file, and write the corrected data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.data.datasets.image_lists.delimited import read_rows, read_separated
from alexnet.data.export_split import write_split
from alexnet.data.source import Source
from alexnet.errors import DataError, UnknownNameError, UsageError
from alexnet.io.text import printable

CHOICES = ("keep", "relabel", "drop")
COLUMNS = ("image", "label", "decision", "new_label")
"""Columns of a file of decisions; names are written as `printable` gives them."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision on an image; its texts are stripped, since a CSV file may have lost spaces."""

    image: str
    """The image's name in the data set, as `printable` gives it."""
    label: str
    """The image's class at the time of the decision."""
    choice: str
    """One of CHOICES."""
    new_label: str
    """The new class if `choice` is "relabel", else ""."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """The labels of a data set after decisions."""

    labels: np.ndarray
    """int64 [N]: labels of all images, dropped ones too."""
    kept: np.ndarray
    """bool [N]: False for dropped images."""
    num_relabelled: int
    num_dropped: int


def read_decisions(path: Path) -> list[Decision]:
    """Read the decisions in a CSV file; images without one are left out.

    The file may be saved by a spreadsheet, with semicolons or not in UTF-8.

    Raises:
        DataError: the file cannot be read, lacks a column, or has a decision that is not one of
            CHOICES.
    """
    text, separator, _ = read_separated(path)
    header, *rows = [row for row in read_rows(path, text, separator) if any(row[1])] or [(0, [])]
    if missing := [name for name in COLUMNS if name not in header[1]]:
        raise DataError(
            f"{path} has no column {missing[0]!r}; decisions are CSV with {', '.join(COLUMNS)}"
        )
    found = [_decision(path, line, dict(zip(header[1], row, strict=False))) for line, row in rows]
    return [one for one in found if one.choice]


def _decision(path: Path, line: int, row: dict[str, str]) -> Decision:
    image, label, choice, new_label = (row.get(name, "") for name in COLUMNS)
    choice = choice.lower()
    if choice and choice not in CHOICES:
        raise DataError(
            f"{path}, line {line}: the decision {choice!r} is none of {', '.join(CHOICES)}"
        )
    if choice == "relabel" and not new_label:
        raise DataError(f"{path}, line {line}: relabel needs a new_label")
    return Decision(image, label, choice, new_label if choice == "relabel" else "")


def corrected(source: Source, decisions: list[Decision]) -> Corrected:
    """Apply decisions to the labels of a data set.

    Raises:
        DataError: there are no decisions; an image is not in the data set, has another label than
            when it was decided, or has two decisions; or no image is left.
        UnknownNameError: a new label is no class of the data set.
    """
    if not decisions:
        raise DataError(
            "the file has no decision, so the new data set would be the old one: decide on its "
            "page and save them, or write keep, relabel or drop into its column decision"
        )
    by_name, classes = _unambiguous(source.names), _unambiguous(source.class_names)
    labels, kept = source.labels.copy(), np.ones(len(source), bool)
    times = Counter(one.image for one in decisions)
    for one in decisions:
        index = by_name.get(one.image)
        if index is None:
            raise DataError(
                f"{one.image!r} of the decisions is not an image of {source.name}, or is several"
            )
        if times[one.image] > 1:
            raise DataError(f"{one.image!r} has {times[one.image]} decisions; keep one of them")
        own = printable(source.class_names[source.labels[index]]).strip()
        if own != one.label:
            raise DataError(
                f"{one.image!r} was in class {one.label!r} when it was decided and is in {own!r}; "
                "run alexnet data mistakes again"
            )
        if one.choice == "relabel":
            if one.new_label not in classes:
                raise UnknownNameError(f"class of {source.name}", one.new_label, classes)
            labels[index] = classes[one.new_label]
        kept[index] = one.choice != "drop"
    if not kept.any():
        raise DataError("all images are dropped, so nothing is left to write")
    return Corrected(labels, kept, int((labels != source.labels).sum()), int((~kept).sum()))


def _unambiguous(names: Iterable[str]) -> dict[str, int]:
    """The index of each name as written in decisions, without names that occur more than once."""
    found = [printable(name).strip() for name in names]
    times = Counter(found)
    return {name: i for i, name in enumerate(found) if times[name] == 1}


def write_corrected(source: Source, found: Corrected, out: Path) -> None:
    """Write a corrected data set as a new CSV file or a new folder of copies.

    Originals are not changed. The data set's splits are kept.

    Raises:
        UsageError: `out` exists, or is in the data set's folder, or is a CSV file and the images
            are in the cache.
        DataError: the images are not files, or cannot be copied, or a name cannot be written.
    """
    folder = getattr(source.images, "folder", None)
    if folder and out.suffix.lower() != ".csv" and out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{out} is in the folder of {source.name}, which stays as it is")
    splits = np.array(source.splits)
    parts = {
        str(split): np.flatnonzero(found.kept & (splits == split)) for split in np.unique(splits)
    }
    write_split(source, parts, out, labels=found.labels)
