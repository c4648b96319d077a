"""Parquet files as data sets: of images as bytes, or of paths."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.data.datasets.image_lists.entries import list_entries
from alexnet.data.datasets.image_lists.file_source import file_list_source
from alexnet.data.datasets.image_lists.parquet_images import ParquetImages, RowGroup, open_parquet
from alexnet.data.datasets.image_lists.table import Table, TableRow, cell_text
from alexnet.data.datasets.split_names import split_of
from alexnet.data.source import Source, class_indices
from alexnet.errors import DataError
from alexnet.io.limits import MAX_CSV_BYTES, MAX_ROW_GROUP_BYTES
from alexnet.io.text import error_text
from alexnet.runtime.extras import require_extra

if TYPE_CHECKING:
    import pyarrow.parquet as pq


@dataclass(frozen=True)
class _Shard:
    """One of the files."""

    path: Path
    name: str
    """Its path relative to the data set."""
    file: pq.ParquetFile
    split: str
    """From its name or that of its folder; "" where these mean none."""


def parquet_source(name: str, root: Path, paths: list[Path]) -> Source:
    """The images of Parquet files with the same columns, in the order of files and rows.

    The images are a column of bytes, one of Hugging Face's structs of bytes and path, or paths
    relative to `root`. Labels are text, or numbers whose names are in Hugging Face's schema.
    Splits are a column, or the words with which the names of files (`train-00000-of-00002.parquet`)
    or folders begin.

    Args:
        name: of the data set.
        root: folder that contains the files.
        paths: the files; at least one.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: a file cannot be read, or its columns are not known.
    """
    require_extra("pyarrow", "parquet", f"reading {paths[0].name}")
    shards = _open_shards(root, paths)
    bytes_column = _bytes_column(shards[0].file)
    table, num_unlabelled = _table(root, shards, bytes_column)
    if not bytes_column:
        return file_list_source(table, name)
    skipped = Counter({"rows without a label": num_unlabelled})
    entries = list_entries(table, skipped)
    class_names = tuple(sorted({entry.label for entry in entries}))
    return Source(
        name=name,
        class_names=class_names,
        names=tuple(entry.name for entry in entries),
        labels=class_indices((entry.label for entry in entries), class_names),
        splits=tuple(entry.split for entry in entries),
        images=ParquetImages(
            _row_groups(shards, bytes_column), bytes_column, [e.number - 1 for e in entries]
        ),
        skipped={reason: count for reason, count in sorted(skipped.items()) if count},
        notes=tuple(table.notes),
    )


def _open_shards(root: Path, paths: list[Path]) -> list[_Shard]:
    """Open the files, which must have the same columns, and a split all or none."""
    shards = []
    for path in paths:
        name = path.relative_to(root).as_posix()
        shards.append(_Shard(path, name, open_parquet(path), _split(name)))
    first = shards[0]
    for shard in shards[1:]:
        names = shard.file.schema_arrow.names
        if names != first.file.schema_arrow.names:
            raise DataError(f"{shard.path} has other columns than {first.name}: {', '.join(names)}")
        if bool(shard.split) != bool(first.split):
            lone = first if not first.split else shard
            raise DataError(f"the name of {lone.path} means no split, and that of others does")
    return shards


def _split(name: str) -> str:
    """The split of a file: of its name before the first -, else of a folder in which it is."""
    *folders, last = name.removesuffix(".parquet").split("/")
    splits = (split_of(word) for word in (last, last.partition("-")[0], *reversed(folders)))
    return next(filter(None, splits), "")


def _bytes_column(file: pq.ParquetFile) -> str:
    """The column that holds images as bytes, "image" or "image.bytes"; "" if none does."""
    import pyarrow.types as kinds

    for column in file.schema_arrow:
        kind = column.type
        if kinds.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            name = f"{column.name}.bytes"
            is_empty = kinds.is_null(kind.field("bytes").type) or _is_empty(file, name)
            return "" if is_empty else name
        if kinds.is_binary(kind) or kinds.is_large_binary(kind):
            return str(column.name)
    return ""


def _chunks(file: pq.ParquetFile, name: str) -> list[Any]:
    """What the footer says of a column in every row group."""
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    found = (group.column(i) for group in groups for i in range(group.num_columns))
    return [chunk for chunk in found if chunk.path_in_schema == name]


def _is_empty(file: pq.ParquetFile, name: str) -> bool:
    """Whether a column is known to hold nothing, as where images are beside the file."""
    statistics = [(chunk.statistics, chunk.num_values) for chunk in _chunks(file, name)]
    return all(s and s.has_null_count and s.null_count == total for s, total in statistics)


def _row_groups(shards: list[_Shard], column: str) -> list[RowGroup]:
    """All row groups, none of which may be too large to be read at once."""
    groups = []
    for shard in shards:
        for number, chunk in enumerate(_chunks(shard.file, column)):
            if chunk.total_uncompressed_size > MAX_ROW_GROUP_BYTES:
                raise DataError(
                    f"{shard.path} has a row group of {chunk.total_uncompressed_size:,} bytes, of "
                    f"at most {MAX_ROW_GROUP_BYTES:,}; write it with fewer rows per row group"
                )
            groups.append(RowGroup(shard.path, number, chunk.num_values))
    return groups


def _table(root: Path, shards: list[_Shard], bytes_column: str) -> tuple[Table, int]:
    """The columns of text and numbers, and the number of rows without a label, left out."""
    columns = _plain_columns(shards[0].file, bytes_column)
    class_names = _class_names(shards[0])
    splits = {shard.split for shard in shards}
    has_split = splits not in ({""}, {"train"})  # with train alone, the recipe splits
    header = [*(["path"] if bytes_column else []), *columns, *(["split"] if has_split else [])]
    table = Table(
        shards[0].path if len(shards) == 1 else root / "*.parquet",
        tuple(header),
        rows=[],
        unit="row",
        image_column=0 if bytes_column else None,
    )
    number = 0
    for shard in shards:
        values = _read(shard, columns, class_names)
        split = [shard.split] if has_split else []
        for row in range(shard.file.metadata.num_rows):
            number += 1
            cells = [column[row] for column in values.values()]
            if all(values[name][row] for name in class_names if name in values):
                image = [f"{shard.name}/{row:06d}"] if bytes_column else []
                table.rows.append(TableRow(number, [*image, *cells, *split]))
    return table, number - len(table.rows)


def _plain_columns(file: pq.ParquetFile, bytes_column: str) -> dict[str, str]:
    """Columns of text, numbers and truth values, and paths of images: from name to path."""
    import pyarrow.types as kinds

    columns = {}
    for column in file.schema_arrow:
        kind = column.type
        is_text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_dictionary(kind)
        if is_text or kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind):
            columns[column.name] = column.name
        elif kinds.is_struct(kind) and kind.get_field_index("path") >= 0 and not bytes_column:
            columns[column.name] = f"{column.name}.path"
    return columns


def _class_names(shard: _Shard) -> dict[str, list[str]]:
    """The names of the classes of columns of numbers, by column, from Hugging Face's schema."""
    text = (shard.file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
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
    """The text of some columns; of a label that is a number, its name, or "" where it is -1.

    Raises:
        DataError: they cannot be read, are too large, or a number has no name.
    """
    import pyarrow as pa

    chunks = [chunk for name in columns.values() for chunk in _chunks(shard.file, name)]
    if sum(chunk.total_uncompressed_size for chunk in chunks) > MAX_CSV_BYTES:
        raise DataError(f"{shard.path} has more than {MAX_CSV_BYTES:,} bytes beside its images")
    try:
        table = shard.file.read(list(columns.values()), use_threads=False).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{shard.path} cannot be read: {error_text(error)}") from error
    text = {}
    for name, values in table.items():
        plain = [value["path"] if isinstance(value, dict) else value for value in values]
        if name in class_names:
            plain = [_class_name(shard, class_names[name], value) for value in plain]
        text[name] = [cell_text(value) for value in plain]
    return text


def _class_name(shard: _Shard, names: list[str], label: int | None) -> str:
    if label in (None, -1):
        return ""
    if not 0 <= label < len(names):
        raise DataError(f"{shard.path} has a label {label}, and names of {len(names)} classes")
    return names[label]
