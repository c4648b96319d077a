"""The data sets that have a name, and `open_source`, from a name or path to a `Source`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from alexnet.data.datasets.archive import (
    OTHER_ARCHIVE_SUFFIXES,
    archive_stem,
    is_archive_name,
    unpacked_folder,
)
from alexnet.data.datasets.cifar10 import cifar10_source
from alexnet.data.datasets.flowers17 import flowers17_source
from alexnet.data.datasets.folder import folder_source
from alexnet.data.datasets.image_lists.folder_lists import folder_list_source
from alexnet.data.datasets.image_lists.source import is_list_name, list_source
from alexnet.data.datasets.imagenet import (
    imagenet_folder_source,
    imagenet_source,
    tiny_imagenet_source,
    with_imagenet_names,
)
from alexnet.data.datasets.imagenet_layout import find_layout
from alexnet.data.datasets.mnist import fashion_mnist_source, mnist_source
from alexnet.data.datasets.shards.names import is_shard
from alexnet.data.datasets.shards.open import (
    archive_shard_source,
    folder_shards_source,
    is_shard_pattern,
    pattern_source,
)
from alexnet.data.datasets.toyflowers import dataset as toyflowers
from alexnet.data.datasets.unlabelled import has_class_folders, unlabelled_source
from alexnet.data.source import Source
from alexnet.errors import DataError, UnknownNameError, UsageError
from alexnet.io.in_use import mark_used
from alexnet.io.paths import cache_folder, path_text, similar_path
from alexnet.io.text import shell_command
from alexnet.reporter import (
    SILENT,
    ProgressCallback,
    Reporter,
    ignore_progress,
    progress_callback,
)


def toyflowers_source(data_root: str = "", reporter: Reporter = SILENT) -> Source:
    """The built-in data set, painted once into the cache (`toyflowers-1`).

    Args:
        data_root: not used: there is nothing to look for.
        reporter: is told of the painting.

    Raises:
        DataError: the cache cannot be written.
    """
    folder = cache_folder() / "data" / "toyflowers-1"  # the number grows when the painting changes
    if not folder.exists():
        try:
            toyflowers.write(folder, on_paint=progress_callback(reporter, "on_paint"))
        except (DataError, OSError) as error:
            if not folder.exists():  # else another process was first
                raise DataError(f"{folder} cannot be written: {error}") from error
    mark_used(folder)
    return dataclasses.replace(folder_source(folder), name="toyflowers")


RUN_FILES = ("config.json", "metrics.jsonl")
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")

DATASETS: dict[str, Callable[[str, Reporter], Source]] = {
    "toyflowers": toyflowers_source,
    "flowers17": flowers17_source,
    "cifar10": cifar10_source,
    "mnist": mnist_source,
    "fashion_mnist": fashion_mnist_source,
    "imagenet": lambda data_root, _: imagenet_source(data_root),
    "tiny_imagenet": lambda data_root, _: tiny_imagenet_source(data_root),
}


def open_source(
    data: str,
    data_root: str = "",
    *,
    allow_unlabelled: bool = False,
    allow_empty: bool = False,
    label_from: str = "",
    reporter: Reporter = SILENT,
) -> Source:
    """Open a data set: a name of `DATASETS`, a folder, a list of images, or shards.

    A name takes precedence over a folder of that name, which can be given as `./mnist`.

    Args:
        data: name or path.
        data_root: folder searched first for a named data set.
        allow_unlabelled: accept a folder of images without class folders, too.
        allow_empty: accept class folders without images, as `folder_source`.
        label_from: regular expression that finds the class in the names of a folder's images, as
            `DataOptions.label_from`; "" where classes are folders.
        reporter: is told of what takes long the first time, by those of its methods `on_download`,
            `on_paint`, `on_unpack` and `on_index` (of shards) that it has.

    Raises:
        UsageError: `label_from` for a data set that is no folder.
        UnknownNameError: it is neither a name nor looks like a path.
        DataError: the path does not exist or cannot be used as a data set.
    """
    on_index = progress_callback(reporter, "on_index")
    path = Path(path_text(data))
    is_path = data not in DATASETS and bool(data)
    if is_path and path.is_dir():
        return _open_folder(path, allow_unlabelled, allow_empty, label_from, on_index)
    if is_path and path.is_file() and is_shard(path) and not label_from:
        return with_imagenet_names(archive_shard_source(path, on_index))
    if is_path and is_archive_name(path) and path.is_file():
        folder = unpacked_folder(path, progress_callback(reporter, "on_unpack"))
        return _open_unpacked(path, folder, allow_unlabelled, allow_empty, label_from)
    if label_from:
        raise UsageError(f"--label-from is for folders of images, and {data!r} is none")
    if data in DATASETS:
        return DATASETS[data](data_root, reporter)
    if is_shard_pattern(data):
        return with_imagenet_names(pattern_source(data, on_index))
    if is_list_name(path) and path.exists():
        return with_imagenet_names(list_source(path))
    raise _cannot_open(data, path)


def _open_unpacked(
    path: Path, folder: Path, allow_unlabelled: bool, allow_empty: bool, label_from: str
) -> Source:
    """Open the folder that an archive was unpacked into; the source is named after the archive."""
    try:
        source = _open_folder(folder, allow_unlabelled, allow_empty, label_from)
    except DataError as error:
        raise DataError(f"{path}, unpacked: {error}") from error
    return dataclasses.replace(source, name=archive_stem(path))


GIVE = "give a folder, a list of images or a known name"


def _cannot_open(data: str, path: Path) -> DataError | UnknownNameError:
    """The error for `data` that is no data set."""
    if path.is_file():
        return DataError(f"{data!r} is {_file_kind(path)}")
    similar = similar_path(path)
    advice = f"did you mean {similar}?" if similar else ""
    if is_list_name(path) or is_archive_name(path):
        return DataError(f"there is no file {data!r}; {advice or GIVE}")
    if "/" in data or "\\" in data or data.startswith("~"):
        return DataError(f"there is no folder {data!r}; {advice or GIVE}")
    return UnknownNameError("data set (nor is it a folder or a list)", data, [*DATASETS, similar])


def _file_kind(path: Path) -> str:
    """What kind of file this is instead of a data set, and what to do with it."""
    if path.suffix.lower() in SPREADSHEETS:
        return "a spreadsheet; save it as CSV (UTF-8) with the columns path and label"
    if path.suffix.lower() in OTHER_ARCHIVE_SUFFIXES:
        return "an archive of a kind that is not read; unpack it, or make a .zip of it"
    return (
        "a file; give a folder of class folders, an archive of one (.zip, .tar, .tgz, ..), "
        "or a list (.csv, .txt, .jsonl, .parquet, ..)"
    )


def _open_folder(
    path: Path,
    allow_unlabelled: bool,
    allow_empty: bool,
    label_from: str,
    on_index: ProgressCallback = ignore_progress,
) -> Source:
    """Open a folder: an ImageNet layout, or one with a list, shards, class folders or images."""
    if all((path / name).is_file() for name in RUN_FILES):
        go_on, again = (
            shell_command(["alexnet", "train", *words, str(path)])
            for words in (["--resume"], ["DATA", "--from"])
        )
        raise DataError(
            f"{path} is a run folder, which holds no data set; {go_on} resumes it, and {again} "
            "trains from its weights"
        )
    if label_from:
        return with_imagenet_names(folder_source(path, label_from))
    layout = find_layout(path)
    if layout and not (allow_unlabelled and layout.is_one_flat_folder):
        return imagenet_folder_source(path)
    if source := folder_list_source(path):
        return with_imagenet_names(source)
    if source := folder_shards_source(path, on_index):
        return with_imagenet_names(source)
    if allow_unlabelled and not has_class_folders(path):
        return unlabelled_source(path)
    return with_imagenet_names(folder_source(path, allow_empty=allow_empty))
