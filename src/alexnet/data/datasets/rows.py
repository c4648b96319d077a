"""A `Source` from one row per image."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from alexnet.data.source import ImageFiles, Source, class_indices
from alexnet.errors import DataError


class Row(NamedTuple):
    """One image: its path relative to the data set, its class, and its split or ""."""

    name: str
    label: str
    split: str


def make_source(name: str, root: Path, rows: list[Row], skipped: Counter[str]) -> Source:
    """Make a source from the rows of images below `root`.

    Class names become NFC, as one class can be NFC in a list and NFD in a folder made on macOS.

    Raises:
        DataError: there are no rows.
    """
    if not rows:
        raise DataError(f"{name} names no images")
    rows = sorted(row._replace(label=unicodedata.normalize("NFC", row.label)) for row in rows)
    class_names = tuple(sorted({row.label for row in rows}))
    names = tuple(row.name for row in rows)
    return Source(
        name=name,
        class_names=class_names,
        names=names,
        labels=class_indices((row.label for row in rows), class_names),
        splits=tuple(row.split for row in rows),
        images=ImageFiles(root, names),
        skipped={reason: count for reason, count in sorted(skipped.items()) if count},
    )
