"""A list of image paths and labels as a data set."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

from alexnet.data.datasets.image_lists.delimited import read_delimited
from alexnet.data.datasets.image_lists.entries import list_entries
from alexnet.data.datasets.image_lists.json_lists import is_json_name, read_json
from alexnet.data.datasets.image_lists.locate import locate_images
from alexnet.data.datasets.rows import Row, make_source
from alexnet.data.source import Source

LIST_SUFFIXES = (".csv", ".tsv", ".txt", ".lst", ".jsonl", ".ndjson", ".json")
"""Endings of lists; .gz, .bz2 or .xz may follow."""


def is_list_name(path: Path) -> bool:
    """Whether a file's name ends as that of a list."""
    name = path.name.lower()
    return name.endswith(tuple(s + z for s in LIST_SUFFIXES for z in ("", ".gz", ".bz2", ".xz")))


def list_source(path: Path) -> Source:
    """List the images that a file names, sorted by their path.

    A row has a path, a label and perhaps a split (see `split_of`). Columns are found by the usual
    names, in any order; without a header they are path,label or path,label,split. Further columns
    are ignored and noted. Paths are relative to the list's folder (see `locate_images`).

    Raises:
        DataError: the file cannot be read, its columns are not known, a row cannot be used (the
            message names its line and value), or an image does not exist.
    """
    path = Path(path)
    table = read_json(path) if is_json_name(path) else read_delimited(path)
    skipped: Counter[str] = Counter()
    entries = list_entries(table, skipped)
    names = locate_images(table, entries)
    rows = [Row(name, e.label, e.split) for name, e in zip(names, entries, strict=True)]
    source = make_source(path.name.partition(".")[0] or path.name, path.parent, rows, skipped)
    return dataclasses.replace(source, notes=tuple(table.notes))
