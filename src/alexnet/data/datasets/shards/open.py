"""The tar shards, or Parquet files, that a folder, a pattern of names or an address means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alexnet.data.data_files import DataFile, is_remote, local_files, remote_files
from alexnet.data.datasets.image_lists.parquet import parquet_source
from alexnet.data.datasets.image_lists.table import is_image_name
from alexnet.data.datasets.shards.names import RANGE, expand_range, is_shard
from alexnet.data.datasets.shards.source import CLASS_LISTS, shard_source
from alexnet.data.images.find import visible_files
from alexnet.data.source import Source
from alexnet.errors import DataError
from alexnet.io.paths import matching_paths, path_text
from alexnet.reporter import ProgressCallback, ignore_progress

ENDINGS = (".tar", ".parquet")
LOOKED_AT = 4
"""Number of a folder's archives that are looked at to tell whether they are shards."""


def is_shard_pattern(data: str) -> bool:
    """Whether `data` is a pattern of the names of shards, or an address."""
    is_pattern = RANGE.search(data) or "*" in data
    return is_remote(data) or (data.endswith(ENDINGS) and is_pattern and not Path(data).exists())


def folder_shards_source(
    folder: Path, on_progress: ProgressCallback = ignore_progress
) -> Source | None:
    """The images of the tar shards in a folder; None where it has images or no shards.

    `on_progress` is called with (shards read, shards in all).

    Raises:
        DataError: as `shard_source`.
    """
    paths: list[Path] = []
    for path in visible_files(folder):
        if is_image_name(path.name):  # ends here in a folder of a million images
            return None
        if path.name.lower().endswith(".tar"):
            paths.append(path)
    paths.sort()
    if not any(map(is_shard, paths[:LOOKED_AT])):
        return None
    name = folder.resolve().name or str(folder)
    lists = [folder / one for one in CLASS_LISTS if (folder / one).is_file()]
    return _source(name, local_files(folder, paths + lists), on_progress)


def archive_shard_source(path: Path, on_progress: ProgressCallback = ignore_progress) -> Source:
    """The images of one tar shard; `on_progress` is called with (shards read, shards in all).

    Raises:
        DataError: as `shard_source`.
    """
    return _source(path.stem, local_files(path.parent, [path]), on_progress)


def pattern_source(data: str, on_progress: ProgressCallback = ignore_progress) -> Source:
    """The images of shards named by a pattern, or at an address.

    Args:
        data: names with numbers in braces or with a star (`train-{000000..000127}.tar`), or the
            address of a file or folder, or of such names.
        on_progress: called with (shards read, shards in all) while they are read the first time.

    Raises:
        UsageError: as `remote_files`.
        DataError: a file is missing or cannot be read.
    """
    if not is_remote(data):
        data = Path(path_text(data)).as_posix()
    expected = expand_range(data)
    name = RANGE.sub("", data.rstrip("/").rpartition("/")[2]).partition(".")[0].strip("-_*")
    if is_remote(data):
        files = remote_files(RANGE.sub("*", data), (*ENDINGS, *CLASS_LISTS))
    else:
        pattern = RANGE.sub("*", data)
        root = Path(pattern.partition("*")[0] + "*").parent
        files = local_files(root, matching_paths(pattern))
    if found := RANGE.search(data):
        depth = 1 + data.count("/", found.start())
        files = _expected_files(data, [_last_parts(one, depth) for one in expected], files)
    if not files:
        raise DataError(f"no file matches {data}")
    return _source(name or "shards", files, on_progress)


def _expected_files(
    data: str, expected: Sequence[str], files: Sequence[DataFile]
) -> list[DataFile]:
    """The files whose paths end like those in `expected`, in that order.

    Raises:
        DataError: one of them is not there.
    """
    found: dict[str, list[DataFile]] = {}
    for file in files:
        found.setdefault(_last_parts(file.name, 1 + expected[0].count("/")), []).append(file)
    if missing := [one for one in expected if one not in found]:
        more = f", and {len(missing) - 1:,} more," if len(missing) > 1 else ""
        raise DataError(f"of {data} the file {missing[0]}{more} is not there")
    return [file for one in expected for file in found[one]]


def _last_parts(path: str, count: int) -> str:
    """The last `count` parts of a path with slashes."""
    return "/".join(path.split("/")[-count:])


def _source(name: str, files: Sequence[DataFile], on_progress: ProgressCallback) -> Source:
    """The images of files of one kind; a list of classes may be among them."""
    tars, tables = ([one for one in files if one.name.lower().endswith(e)] for e in ENDINGS)
    lists = [one for one in files if one.name.rpartition("/")[2] in CLASS_LISTS]
    if tars and tables:
        raise DataError(f"{tars[0]} and {tables[0]} are two kinds of shards; name one of them")
    if tables:
        return parquet_source(name, tables)
    return shard_source(name, tars, lists[0] if lists else None, on_progress)
