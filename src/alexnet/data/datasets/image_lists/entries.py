"""One name, label and split per image, from the rows of a list."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from alexnet.data.datasets.image_lists.columns import (
    TRUE,
    Columns,
    best_label_name,
    find_columns,
)
from alexnet.data.datasets.image_lists.label_notes import (
    NO_MULTI_LABEL,
    case_notes,
    combination_note,
    missing_value_notes,
    quantity_error,
    quantity_note,
)
from alexnet.data.datasets.image_lists.table import Table, TableRow, is_image_name
from alexnet.data.datasets.split_names import split_of
from alexnet.data.source import SPLITS
from alexnet.errors import DataError
from alexnet.io.text import short_repr

WRITTEN_HEADER = ("path", "label", "split")
"""The columns of the lists that this program writes."""
PLURAL_NAMES = ("tags", "labels", "classes", "categories", "targets", "genres", "attributes")
"""Names of columns that may have several labels in a cell."""
SEVERAL = re.compile(r"[\s,;|]+")
"""Separators of several labels in one cell."""
WNID_AND_BOXES = re.compile(r"(n[0-9]{8})(?:\s+-?[0-9]+){4}(?:\s.*)?")
"""A cell of `LOC_val_solution.csv`, Kaggle's list of ImageNet."""
WHOLE_DECIMAL = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
"""A whole number, as pandas writes it into a column that once had an empty cell."""


class Entry(NamedTuple):
    """One image as its row names it."""

    number: int
    """Number of the row."""
    name: str
    label: str
    split: str
    """"train", "val", "test" or ""."""


def list_entries(table: Table, skipped: Counter[str]) -> list[Entry]:
    """The images of a list in its order; counts what is left out, and adds to `table.notes`.

    Raises:
        DataError: a row has too few or too many cells, an empty path or label, several labels or
            an unknown split, or contradicts a row before it; the message names the row.
    """
    columns = find_columns(table)
    table.notes.extend(columns.notes)
    skipped.update(table.skipped)
    _check_header(table)
    entries = [_entry(table, columns, row) for row in table.rows]
    entries = _without_repeats(table, entries, skipped)
    entries = _with_whole_labels(table, entries)
    _check_several_labels(table, entries)
    _note_doubtful_labels(table, columns, entries)
    return entries


def _check_header(table: Table) -> None:
    """Reject a first row that names columns in words that are not known."""
    if table.header is not None:
        return
    first, *others = (row.cells for row in table.rows)
    if any(map(is_image_name, first)) or not any(is_image_name(c) for row in others for c in row):
        return
    raise header_error(table)


def header_error(table: Table) -> DataError:
    """The error for a first row that is no image."""
    return DataError(
        f"{table.where(table.rows[0].number)} looks like a header: "
        f"{short_repr(table.joined(table.rows[0].cells))}; "
        "name its columns path and label (and split, if there is one)"
    )


def _entry(table: Table, columns: Columns, row: TableRow) -> Entry:
    """One image from one row."""
    cells = row.cells
    names = table.header or ("path", "label", "split")[: 3 if columns.split is not None else 2]
    width = len(names) if table.header else len(table.rows[0].cells)
    if len(cells) != width or width < 2 or (table.header is None and width > 3):
        hint = "" if table.header else ", or a first line with these names"
        raise DataError(
            f"{table.where(row.number)}: {short_repr(table.joined(cells))} has {len(cells)} "
            f"value{'' if len(cells) == 1 else 's'}; expected {table.joined(names)}{hint}"
        )
    name, label = cells[columns.image], _label(table, columns, row)
    if not name or not label:
        problem = "label" if name else "path"
        raise DataError(
            f"{table.where(row.number)}: the {problem} is empty; expected {table.joined(names)}"
        )
    label = unicodedata.normalize("NFC", label)
    return Entry(row.number, name, label, _split(table, columns, row))


def _label(table: Table, columns: Columns, row: TableRow) -> str:
    """The label of a row; of one-hot columns the name of the one that is 1."""
    if len(columns.labels) == 1:
        return _only_item(table, row, row.cells[columns.labels[0]])
    assert table.header is not None
    chosen = [table.header[i] for i in columns.labels if row.cells[i].lower() in TRUE]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise several_labels(table.where(row.number), chosen)
    raise DataError(f"{table.where(row.number)}: none of its {len(columns.labels)} columns is 1")


def _only_item(table: Table, row: TableRow, cell: str) -> str:
    """The label in a cell such as ["rose"], or before boxes; any other cell is returned as is."""
    if match := WNID_AND_BOXES.fullmatch(cell):
        return match[1]
    if not (cell.startswith("[") and cell.endswith("]")):
        return cell
    try:
        items = json.loads(cell.replace("'", '"'))
    except (ValueError, RecursionError):
        return cell
    if len(items) > 1:
        raise several_labels(table.where(row.number), [str(item) for item in items])
    return str(items[0]).strip() if items else ""


def several_labels(where: str, labels: list[str]) -> DataError:
    """The error for an image with more than one label."""
    examples = " and ".join(map(short_repr, labels[:2])) + (", ..." if len(labels) > 2 else "")
    return DataError(f"{where} has {len(labels)} labels, {examples}; {NO_MULTI_LABEL}")


def _split(table: Table, columns: Columns, row: TableRow) -> str:
    if columns.flags:
        return _flagged_split(table, columns, row)
    if columns.split is None:
        return ""
    cell = row.cells[columns.split]
    if not (split := _known_split(cell)):
        raise DataError(
            f"{table.where(row.number)}: split {short_repr(cell)} is unknown; "
            f"use {', '.join(SPLITS)}"
        )
    return split


def _flagged_split(table: Table, columns: Columns, row: TableRow) -> str:
    """The split that all flags of a row allow: not val unless one says so, or no other is left."""
    possible = ["train", "test", "val"]
    for column, name in columns.flags:
        is_true = row.cells[column].lower() in TRUE
        possible = [split for split in possible if (split == name) == is_true]
    if possible:
        return possible[0]
    assert table.header is not None
    values = (f"{table.header[i]} is {short_repr(row.cells[i])}" for i, _ in columns.flags)
    raise DataError(
        f"{table.where(row.number)}: {' and '.join(values)}; an image has exactly one split"
    )


@lru_cache(maxsize=64)
def _known_split(cell: str) -> str:
    return split_of(cell)  # which is slow for a million rows


def _without_repeats(table: Table, entries: list[Entry], skipped: Counter[str]) -> list[Entry]:
    """The entries with each image once; rows of one image must agree in label and split."""
    first: dict[str, Entry] = {}
    root = os.path.abspath(table.path.parent)  # noqa: PTH100 - a link in it is not followed
    for entry in entries:
        known = first.setdefault(plain_path(root, entry.name), entry)
        if known[2:] == entry[2:]:
            continue
        what = "label" if known.label != entry.label else "split"
        values = [short_repr(getattr(e, what)) for e in (known, entry)]
        raise DataError(
            f"{table.where(entry.number)}: {short_repr(entry.name)} is on {table.unit} "
            f"{known.number} already, with the {what} {values[0]} in place of {values[1]}; "
            f"an image has one label and one split{_boxes_hint(table)}"
        )
    skipped["rows that repeat an image"] += len(entries) - len(first)
    return list(first.values())


def _boxes_hint(table: Table) -> str:
    """A hint that a list is for object detection, if it has columns of boxes; else ""."""
    words = {name.strip().lower() for name in table.header or ()}
    is_for_detection = words & {"xmin", "x_min", "x1", "bbox", "xmax", "x_max"}
    return ". It has boxes, so it is a list for object detection" if is_for_detection else ""


def plain_path(root: str, name: str) -> str:
    """The normalized path of a name in a folder, for comparing; makes no system call."""
    return os.path.normpath(os.path.join(root, name.replace("\\", "/")))  # noqa: PTH118


def _with_whole_labels(table: Table, entries: list[Entry]) -> list[Entry]:
    """The entries with labels such as 3.0 as 3, if all labels are whole numbers."""
    whole = {entry.label: WHOLE_DECIMAL.fullmatch(entry.label) for entry in entries}
    decimals = [label for label in whole if "." in label]
    if not decimals or not all(whole.values()):
        return entries
    short = {label: match[1] for label, match in whole.items() if match}
    table.notes.append(f"labels are whole numbers: {decimals[0]} was read as {short[decimals[0]]}")
    return [entry._replace(label=short[entry.label]) for entry in entries]


def _check_several_labels(table: Table, entries: list[Entry]) -> None:
    """Reject a label such as "cat dog" where cat and dog are labels, too, or such as "3 7".

    Lists that `alexnet data split` wrote have one label per image, whatever it looks like.
    """
    labels = {entry.label: entry for entry in entries}
    for entry in labels.values():
        parts = SEVERAL.split(entry.label)
        is_known = all(part in labels for part in parts)
        if len(parts) < 2 or not (is_known or all(part.isdecimal() for part in parts)):
            continue
        if table.header != WRITTEN_HEADER:
            raise several_labels(table.where(entry.number), parts)
        table.notes.append(f"{entry.label!r} is taken as one class, not as {len(parts)} labels")


def _note_doubtful_labels(table: Table, columns: Columns, entries: list[Entry]) -> None:
    """Add notes on what the labels may be in place of classes.

    Raises:
        DataError: they are numbers with fractions, most of them of one image.
    """
    counts = Counter(entry.label for entry in entries)
    if problem := quantity_error(counts):
        raise DataError(f"{table.path}: {problem}")
    names = [table.header[i] for i in columns.labels] if table.header else []
    is_plural = any(name.casefold().strip() in PLURAL_NAMES for name in names)
    is_written = table.header == WRITTEN_HEADER
    doubts = (
        quantity_note(counts, is_named=not names or best_label_name(names) is not None),
        "" if is_written else combination_note(counts, is_plural=is_plural),
    )
    table.notes.extend(filter(None, doubts))
    table.notes.extend([*case_notes(counts), *missing_value_notes(counts)])
