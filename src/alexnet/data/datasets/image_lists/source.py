"""A list of image paths and labels as a data set."""

from __future__ import annotations

from pathlib import Path

from alexnet.data.data_files import local_files
from alexnet.data.datasets.image_lists.delimited import read_delimited
from alexnet.data.datasets.image_lists.file_source import file_list_source
from alexnet.data.datasets.image_lists.json_lists import is_json_name, read_json
from alexnet.data.datasets.image_lists.parquet import parquet_source
from alexnet.data.source import Source

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".lst", ".jsonl", ".ndjson", ".json")
"""Endings of lists that are text; .gz, .bz2 or .xz may follow."""


def is_list_name(path: Path) -> bool:
    """Whether a file's name has the ending of a list of images, such as .csv or .parquet."""
    name = path.name.lower()
    endings = (s + z for s in TEXT_SUFFIXES for z in ("", ".gz", ".bz2", ".xz"))
    return name.endswith((".parquet", *endings))


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
    name = path.name.partition(".")[0] or path.name
    if path.suffix.lower() == ".parquet":
        return parquet_source(name, local_files(path.parent, [path]))
    table = read_json(path) if is_json_name(path) else read_delimited(path)
    return file_list_source(table, name)
