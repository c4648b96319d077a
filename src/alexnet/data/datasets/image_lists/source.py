"""A CSV file of image paths and labels as a data set."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from alexnet.config.serialization import short_repr
from alexnet.data.datasets.rows import Row, make_source
from alexnet.data.datasets.split_names import split_of
from alexnet.data.source import SPLITS, Source
from alexnet.errors import DataError
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_CSV_BYTES


def list_source(path: Path) -> Source:
    """List the images that a CSV file names, sorted by their path.

    A row is path,label or path,label,split with split one of train, val (valid, validation) and
    test. A first row with these words is a header, whose columns may have any order. Paths are
    relative to the CSV's folder.

    Raises:
        DataError: the file cannot be read, a row cannot be used (the message names its line and
            value), or an image does not exist.
    """
    path = Path(path)
    columns, lines = _columns(path, _csv_lines(path))
    first_line: dict[str, int] = {}
    rows = []
    for line, cells in lines:
        row = _csv_row(f"{path} line {line}", columns, cells)
        if (first := first_line.setdefault(row.name, line)) != line:
            raise DataError(
                f"{path} line {line}: {short_repr(row.name)} is on line {first} already"
            )
        rows.append(row)
    missing = [row.name for row in rows if not _is_file(path.parent / row.name)]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} images do not exist or are not files, first "
            f"{short_repr(missing[0])} on line {first_line[missing[0]]}; "
            f"paths are relative to {str(path.parent)!r}"
        )
    return make_source(path.stem, path.parent, rows, Counter())


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long, or a parent folder may not be entered
        return False


def _csv_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and cells of all rows that are not blank; never an empty list."""
    try:
        text = read_regular(path, MAX_CSV_BYTES).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read as a CSV file: {reason}") from error
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        raise DataError(f"{path} is empty; its rows are path,label or path,label,split")
    return rows


def _columns(
    path: Path, lines: list[tuple[int, list[str]]]
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, and the lines that are not the header."""
    line, first = lines[0]
    header = [cell.lower() for cell in first]
    if {"path", "label"} <= set(header):
        if sorted(header) not in (["label", "path"], ["label", "path", "split"]):
            given = short_repr(",".join(first))
            raise DataError(
                f"{path} line {line}: columns {given}; use path,label or path,label,split"
            )
        return header, lines[1:]
    return ["path", "label", "split"][: max(2, len(first))], lines


def _csv_row(where: str, columns: list[str], cells: list[str]) -> Row:
    """One image from one row; `where` names the file and line."""
    if len(cells) != len(columns):
        given, expected = short_repr(",".join(cells)), ",".join(columns)
        raise DataError(f"{where}: {given} has {len(cells)} values; expected {expected}")
    value = dict(zip(columns, cells, strict=True))
    if empty := [column for column in ("path", "label") if not value[column]]:
        raise DataError(f"{where}: the {empty[0]} is empty; expected {','.join(columns)}")
    split = value.get("split", "")
    if "split" in columns and not split_of(split):
        raise DataError(f"{where}: split {short_repr(split)} is unknown; use {', '.join(SPLITS)}")
    return Row(value["path"], value["label"], split_of(split))
