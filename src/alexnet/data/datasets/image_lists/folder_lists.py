"""Folders that hold a list of their images, or Parquet files, as Hugging Face and Roboflow do."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from pathlib import Path

from alexnet.data.data_files import local_files
from alexnet.data.datasets.image_lists.columns import find_columns, names_labels
from alexnet.data.datasets.image_lists.delimited import read_delimited
from alexnet.data.datasets.image_lists.entries import list_entries
from alexnet.data.datasets.image_lists.json_lists import is_json_name, read_json
from alexnet.data.datasets.image_lists.locate import locate_images
from alexnet.data.datasets.image_lists.parquet import parquet_source
from alexnet.data.datasets.image_lists.table import Table, is_image_name
from alexnet.data.datasets.rows import Row, make_source
from alexnet.data.datasets.split_names import split_of
from alexnet.data.images.find import is_hidden, visible_files
from alexnet.data.source import Source
from alexnet.errors import DataError

LIST_NAMES = ("metadata.csv", "metadata.jsonl", "_classes.csv")
"""Names of the lists in Hugging Face's image folders and in Roboflow's exports."""
IMAGE_COLUMNS = ("file_name", "filename")
"""Names of the column of images in these lists."""


def folder_list_source(folder: Path) -> Source | None:
    """The images that a list in a folder names, or those of its Parquet files; None without these.

    The list, `metadata.csv`, `metadata.jsonl` or `_classes.csv`, is in the folder itself or in each
    of its folders of splits. A list without labels, such as one of captions, does not count.

    Raises:
        DataError: a list has labels and cannot be used.
        UsageError: there are Parquet files, and pyarrow is not installed.
    """
    name = folder.resolve().name or str(folder)
    places = _folders_with_lists(folder)
    if tables := [(place, table) for place in places if (table := _table_with_labels(place))]:
        return _lists_source(name, folder, tables)
    if any(is_image_name(path.name) for path in visible_files(folder)):
        return None  # ends at the first image
    files = sorted(path for path in visible_files(folder) if path.suffix == ".parquet")
    if not files and any(path.match("data-*-of-*.arrow") for path in visible_files(folder)):
        raise DataError(
            f"{str(folder)!r} was written by save_to_disk of Hugging Face's datasets; "
            "write each split with dataset.to_parquet('train.parquet') instead"
        )
    return parquet_source(name, local_files(folder, files)) if files else None


def _folders_with_lists(folder: Path) -> list[Path]:
    """The folder itself if it has a list, else its folders of splits if one of these has."""
    splits = [place for place in _subfolders(folder) if split_of(place.name)]
    return next(
        (places for places in ([folder], splits) if any(_list_in(place) for place in places)), []
    )


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if not is_hidden(e.name) and e.is_dir())
    except OSError:
        return []
    return [folder / name for name in names]


def _list_in(folder: Path) -> Path | None:
    return next((folder / name for name in LIST_NAMES if (folder / name).is_file()), None)


def _table_with_labels(folder: Path) -> Table | None:
    """The list in a folder; None without one, and where it has no labels or no `file_name`."""
    path = _list_in(folder)
    if path is None:
        return None
    table = read_json(path) if is_json_name(path) else read_delimited(path)
    try:
        columns = find_columns(table)
    except DataError:
        return None
    if table.header is None or table.header[columns.image].lower() not in IMAGE_COLUMNS:
        return None
    if path.stem == "metadata" and not names_labels(table.header):
        return None
    table.notes.append(f"the labels are those of {path.name}")
    return table


def _lists_source(name: str, folder: Path, tables: list[tuple[Path, Table]]) -> Source:
    """The images of one list, or of one per split."""
    skipped: Counter[str] = Counter()
    rows: list[Row] = []
    for place, table in tables:
        entries = list_entries(table, skipped)
        prefix = "" if place == folder else f"{place.name}/"
        for path, entry in zip(locate_images(table, entries), entries, strict=True):
            split = entry.split or split_of((prefix + path).partition("/")[0])
            rows.append(Row(prefix + path, entry.label, split))
    if {row.split for row in rows} == {"train"} or not all(row.split for row in rows):
        rows = [row._replace(split="") for row in rows]
    notes = dict.fromkeys(note for _, table in tables for note in table.notes)
    return dataclasses.replace(make_source(name, folder, rows, skipped), notes=tuple(notes))
