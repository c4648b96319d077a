"""A data set's splits as files: as folders of copied images, or as one CSV file."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.data.source import ImageFiles, Source
from alexnet.errors import DataError, UsageError
from alexnet.io.cache import is_in_entry
from alexnet.io.downloads import atomic_folder
from alexnet.io.files import atomic_write
from alexnet.io.paths import cache_folder
from alexnet.io.text import LONE_SURROGATE, is_file_name


def write_split(
    source: Source,
    splits: dict[str, np.ndarray],
    out: Path,
    labels: np.ndarray | None = None,
) -> None:
    """Write a split to `out`: a .csv of path,label,split, or a new folder OUT/SPLIT/CLASS/image.

    Paths in a CSV are relative to its folder where the images lie below or beside that.

    Args:
        source: a data set of image files.
        splits: indices into the source by split name; "" alone is no split: path,label or
            OUT/CLASS/image.
        out: file or folder to make.
        labels: int64 [N]; those of the source unless given.

    Raises:
        DataError: the images are not files, or cannot be copied, or a name cannot be written.
        UsageError: as `files_to_split`.
    """
    images = files_to_split(source, out)
    names = [source.class_names[label] for label in (source.labels if labels is None else labels)]
    if _is_list(out):
        _write_csv(images, names, splits, out)
    else:
        _copy(images, names, splits, out)


def files_to_split(source: Source, out: Path) -> ImageFiles:
    """The image files of a source whose split is to be written to `out`.

    Raises:
        DataError: the images are not files.
        UsageError: `out` exists, or is a CSV and the images are in the cache.
    """
    if not isinstance(source.images, ImageFiles):
        raise DataError(f"{source.name} is not made of image files; its split cannot be written")
    if out.exists():
        raise UsageError(f"{out} exists; choose another path")
    if _is_list(out) and is_in_entry(source.images.folder, cache_folder()):
        raise UsageError(
            f"the images of {source.name} are in the cache, from which alexnet cache clean removes "
            "them, and a CSV would only name them; write a new folder, or unpack the archive first"
        )
    return source.images


def _is_list(out: Path) -> bool:
    return out.suffix.lower() == ".csv"


def _write_csv(
    images: ImageFiles, labels: Sequence[str], splits: dict[str, np.ndarray], out: Path
) -> None:
    """Write the lines of all splits; `labels` are the classes of all images."""
    place = out.parent.resolve()
    columns = 2 if list(splits) == [""] else 3
    lines = [
        (_portable(images, index, place), labels[index], split)[:columns]
        for split, indices in splits.items()
        for index in indices
    ]
    for cell in (cell for line in lines for cell in line):
        if cell != cell.strip() or LONE_SURROGATE.search(cell):
            raise DataError(f"a CSV cannot hold the name {cell!r}; rename it, or write a folder")
    with atomic_write(out) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "split")[:columns], *lines])


def _portable(images: ImageFiles, index: int, place: Path) -> str:
    """The path of an image, relative to the folder of the CSV where both can be moved together.

    That is so if the image lies below that folder or below its parent.
    """
    path = Path(os.path.normpath(images.folder.resolve() / images.names[index]))
    for base, up in ((place, ""), (place.parent, "../")):
        if path.is_relative_to(base):
            return up + path.relative_to(base).as_posix()
    return str(path)


def _copy(
    images: ImageFiles, labels: Sequence[str], splits: dict[str, np.ndarray], out: Path
) -> None:
    """Copy the images of all splits; `labels` are the classes of all images."""
    for label in sorted(set(labels)):
        if not is_file_name(label):
            raise DataError(f"the class {label!r} cannot be a folder's name; rename it")
    with atomic_folder(out) as temporary:
        for split, indices in splits.items():
            _copy_split(images, labels, indices, temporary / split)


def _copy_split(
    images: ImageFiles, labels: Sequence[str], indices: np.ndarray, folder: Path
) -> None:
    for label in sorted({labels[index] for index in indices}):
        _make_class_folder(folder / label)
    for index in indices:
        path = images.path(index)
        target = folder / labels[index] / path.name
        while target.exists():  # of another folder of the same class
            target = target.with_name(f"{index}-{target.name}")
        shutil.copy2(path, target)


def _make_class_folder(folder: Path) -> None:
    """Make the folder of a class.

    Raises:
        DataError: another class has it; Windows and macOS do not tell `Red` from `red`.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise DataError(
            f"the class {folder.name!r} cannot have a folder of its own here, where names that "
            "differ in case only are one; rename it, or write a CSV"
        ) from error
