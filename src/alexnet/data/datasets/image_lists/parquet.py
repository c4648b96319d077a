"""Parquet files as data sets: of images as bytes, or of paths."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.data.data_files import DataFile, LocalFile
from alexnet.data.datasets.image_lists.entries import list_entries
from alexnet.data.datasets.image_lists.file_source import file_list_source
from alexnet.data.datasets.image_lists.parquet_images import (
    ParquetImages,
    RowGroup,
    open_parquet,
    parquet_errors,
)
from alexnet.data.datasets.image_lists.table import Table, TableRow, cell_text
from alexnet.data.datasets.split_names import splits_of_files
from alexnet.data.source import Source, class_indices
from alexnet.errors import DataError
from alexnet.io.limits import MAX_CSV_BYTES, MAX_ROW_GROUP_BYTES
from alexnet.runtime.extras import require_extra

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


SHARD = re.compile(r"(.+)-[0-9]{5}-of-([0-9]{5})\b")
"""Hugging Face's name of one of several files."""


@dataclass(frozen=True)
class _Shard:
    """A Parquet file, which is open only while it is read: there may be hundreds."""

    path: DataFile
    metadata: pq.FileMetaData
    schema: pa.Schema
    row_groups: list[RowGroup]
    split: str = ""
    """The split named by the file's name or its folder's; "" if they name none."""


def parquet_source(name: str, files: Sequence[DataFile]) -> Source:
    """The images of Parquet files with the same columns, in the order of files and rows.

    The images are a column of bytes, one of Hugging Face's structs of bytes and path, or paths
    relative to the data set. Labels are text, or numbers whose names are in Hugging Face's schema.
    Splits are a column, or the words with which the names of files (`train-00000-of-00002.parquet`)
    or folders begin.

    Args:
        name: name of the data set.
        files: the files, at least one.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: a file cannot be read, or its columns are not known.
        OSError: the machine failed, such as that too many files are open.
    """
    require_extra("pyarrow", "parquet", f"reading {files[0].name}")
    shards = _open_shards(files)
    bytes_column = _bytes_column(shards[0])
    table = _table(shards, bytes_column)
    _note_missing_shards(files, table.notes)
    if not bytes_column and not isinstance(files[0], LocalFile):
        raise DataError(f"{files[0]} has the paths of images and not their bytes; copy all here")
    if not bytes_column:
        return file_list_source(table, name)
    skipped: Counter[str] = Counter()
    entries = list_entries(table, skipped)
    class_names = tuple(sorted({entry.label for entry in entries}))
    row_groups = [group for shard in shards for group in shard.row_groups]
    return Source(
        name=name,
        class_names=class_names,
        names=tuple(entry.name for entry in entries),
        labels=class_indices((entry.label for entry in entries), class_names),
        splits=tuple(entry.split for entry in entries),
        images=ParquetImages(row_groups, bytes_column, [entry.number - 1 for entry in entries]),
        skipped={reason: count for reason, count in sorted(skipped.items()) if count},
        notes=tuple(table.notes),
    )


def _note_missing_shards(files: Sequence[DataFile], notes: list[str]) -> None:
    """Add a note where there are fewer files than their names say."""
    names = (file.name.rpartition("/")[2] for file in files)
    counts = Counter(found.groups() for name in names if (found := SHARD.match(name)))
    for (name, total), count in counts.items():
        if count < int(total):
            notes.append(f"{count} of the {int(total)} files {name}-*-of-{total} are read")


def _open_shards(files: Sequence[DataFile]) -> list[_Shard]:
    """Open the files, which must have the same columns; all or none of them must have a split."""
    shards = [_open_shard(file) for file in files]
    first = shards[0]
    for shard in shards[1:]:
        names = shard.schema.names
        if names != first.schema.names:
            raise DataError(
                f"{shard.path} has other columns than {first.path.name}: {', '.join(names)}"
            )
    splits = splits_of_files([file.name for file in files], files)
    return [replace(shard, split=split) for shard, split in zip(shards, splits, strict=True)]


def _open_shard(path: DataFile) -> _Shard:
    """Open one file; none of its row groups may be too large to be read at once."""
    with parquet_errors(path), open_parquet(path) as file:
        metadata, schema = file.metadata, file.schema_arrow
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        row_groups = [RowGroup(path, i, group.num_rows) for i, group in enumerate(groups)]
        largest = max((group.total_byte_size for group in groups), default=0)
    if largest > MAX_ROW_GROUP_BYTES:
        raise DataError(
            f"{path} has a row group of {largest:,} bytes, of at most {MAX_ROW_GROUP_BYTES:,}; "
            "write it with fewer rows per row group"
        )
    return _Shard(path, metadata, schema, row_groups)


def _bytes_column(shard: _Shard) -> str:
    """The column that holds images as bytes, "image" or "image.bytes"; "" if none does."""
    import pyarrow.types as kinds

    for column in shard.schema:
        kind = column.type
        if kinds.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            name = f"{column.name}.bytes"
            return name if _has_bytes(shard, name) else ""
        if kinds.is_binary(kind) or kinds.is_large_binary(kind):
            return str(column.name)
    return ""


def _has_bytes(shard: _Shard, name: str) -> bool:
    """Whether the first row group holds the bytes of images, and not only their paths."""
    if not shard.row_groups:
        return True
    with parquet_errors(shard.path), open_parquet(shard.path, shard.metadata) as file:
        table = file.read_row_group(0, [name], use_threads=False)
        values = table.column(0).combine_chunks().field("bytes")
        return bool(values.null_count < len(values))


def _table(shards: list[_Shard], bytes_column: str) -> Table:
    """The columns of text and numbers; rows without a label are left out, and counted."""
    columns = _plain_columns(shards[0], bytes_column)
    class_names = _class_names(shards[0])
    splits = {shard.split for shard in shards}
    has_split = splits not in ({""}, {"train"})  # with train alone, the recipe splits
    header = [*(["path"] if bytes_column else []), *columns, *(["split"] if has_split else [])]
    table = Table(
        _table_path(shards),
        tuple(header),
        rows=[],
        unit="row",
        image_column=0 if bytes_column else None,
    )
    number = 0
    for shard in shards:
        values = _read(shard, columns, class_names)
        split = [shard.split] if has_split else []
        for row in range(sum(group.num_rows for group in shard.row_groups)):
            number += 1
            cells = [column[row] for column in values.values()]
            if all(values[name][row] for name in class_names if name in values):
                image = [f"{shard.path.name}/{row:06d}"] if bytes_column else []
                table.rows.append(TableRow(number, [*image, *cells, *split]))
    table.skipped["rows without a label"] = number - len(table.rows)
    return table


def _table_path(shards: list[_Shard]) -> Path:
    """The path for messages: of the only file, or of the data set's folder with *.parquet."""
    first = shards[0].path
    path = first.path if isinstance(first, LocalFile) else Path(str(first))
    return path if len(shards) == 1 else path.parents[first.name.count("/")] / "*.parquet"


def _plain_columns(shard: _Shard, bytes_column: str) -> dict[str, str]:
    """The columns of text, numbers, booleans and image paths: their paths in the schema by name."""
    import pyarrow.types as kinds

    columns = {}
    for column in shard.schema:
        kind = column.type
        is_text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_dictionary(kind)
        if is_text or kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind):
            columns[column.name] = column.name
        elif kinds.is_struct(kind) and kind.get_field_index("path") >= 0 and not bytes_column:
            columns[column.name] = f"{column.name}.path"
    return columns


def _class_names(shard: _Shard) -> dict[str, list[str]]:
    """The class names of every `ClassLabel` column, by column, from Hugging Face's schema."""
    text = (shard.schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        features = json.loads(text).get("info", {}).get("features", {})
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{shard.path}: its Hugging Face schema is damaged: {error}") from error


def _read(
    shard: _Shard, columns: dict[str, str], class_names: dict[str, list[str]]
) -> dict[str, list[str]]:
    """The text of some columns; a class index becomes its class name, -1 becomes "".

    Raises:
        DataError: they cannot be read, are too large, or a number has no name.
    """
    text: dict[str, list[str]] = {name: [] for name in columns}
    num_bytes = 0
    with open_parquet(shard.path, shard.metadata) as file:
        for group in shard.row_groups:
            with parquet_errors(shard.path):
                table = file.read_row_group(group.number, list(columns.values()), use_threads=False)
                num_bytes += table.nbytes
                values = table.to_pydict()
            if num_bytes > MAX_CSV_BYTES:
                raise DataError(
                    f"{shard.path} has more than {MAX_CSV_BYTES:,} bytes beside its images"
                )
            if any(len(column) != group.num_rows for column in values.values()):
                raise DataError(f"{shard.path} cannot be read: columns of different lengths")
            for name, column in values.items():
                text[name] += _texts(shard, column, class_names.get(name))
    return text


def _texts(shard: _Shard, values: list[Any], class_names: list[str] | None) -> list[str]:
    """Values of a column as text: of a struct its path, of a class its name."""
    plain = [value["path"] if isinstance(value, dict) else value for value in values]
    if class_names is not None:
        plain = [_class_name(shard, class_names, value) for value in plain]
    return [cell_text(value) for value in plain]


def _class_name(shard: _Shard, names: list[str], label: int | None) -> str:
    if label in (None, -1):
        return ""
    if not 0 <= label < len(names):
        raise DataError(f"{shard.path} has a label {label}, and names of {len(names)} classes")
    return names[label]
