"""The rows of a list, whatever its format."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from alexnet.data.images.formats import SUFFIXES


class TableRow(NamedTuple):
    """One row: its number in the file, from 1, and its cells."""

    number: int
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """The text of a list; every row has as many cells as there are columns, or is an error."""

    path: Path
    """Path of the file."""
    header: tuple[str, ...] | None
    """The names of the columns, None where the file does not name them."""
    rows: list[TableRow]
    unit: str = "line"
    """What messages call a row: "line", "item" or "row"."""
    separator: str = ","
    """Joins cells in messages."""
    image_column: int | None = None
    """The column of images, where that is known."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the user on what was inferred."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Number of images that are left out, by reason."""

    def where(self, number: int) -> str:
        """A row for messages: "list.csv line 7"."""
        return f"{self.path} {self.unit} {number}"

    def joined(self, cells: list[str] | tuple[str, ...]) -> str:
        """Cells in one string, with the file's separator between them."""
        return self.separator.join(cells)


def cell_text(value: Any) -> str:
    """A value as the text of a cell."""
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value, ensure_ascii=False)


def is_image_name(cell: str) -> bool:
    """Whether a cell ends as the name of an image file does."""
    return cell.lower().endswith(SUFFIXES)
