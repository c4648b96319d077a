"""A list of image files as a data set."""

from __future__ import annotations

import dataclasses
from collections import Counter

from alexnet.data.datasets.image_lists.entries import list_entries
from alexnet.data.datasets.image_lists.locate import locate_images
from alexnet.data.datasets.image_lists.table import Table
from alexnet.data.datasets.rows import Row, make_source
from alexnet.data.source import Source


def file_list_source(table: Table, name: str) -> Source:
    """The images that a table names, sorted by their path.

    Raises:
        DataError: its columns are not known, a row cannot be used, or an image does not exist.
    """
    skipped: Counter[str] = Counter()
    entries = list_entries(table, skipped)
    names = locate_images(table, entries)
    rows = [Row(path, e.label, e.split) for path, e in zip(names, entries, strict=True)]
    source = make_source(name, table.path.parent, rows, skipped)
    return dataclasses.replace(source, notes=tuple(table.notes))
