"""Any folder of class folders, or a CSV of paths and labels, as a data set."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from alexnet.config.serialization import short_repr
from alexnet.data.source import SPLITS, ImageFiles, Source, class_indices
from alexnet.errors import DataError
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_CSV_BYTES

SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm",
    ".pgm", ".pbm",
)  # fmt: skip
HIDDEN = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir"})
LAYOUTS = "use CLASS/image.jpg for every class, or train/CLASS/image.jpg (val/, test/ alike)"


class Row(NamedTuple):
    """One image: its path relative to the data set, its class, and its split or ""."""

    name: str
    label: str
    split: str


def folder_source(folder: Path) -> Source:
    """List the images of a folder, sorted by their path; a class is a folder.

    Where there are `train`, `val` (or `valid`, `validation`) and `test` folders, each holds class
    folders; with `train` alone the split is left to the recipe, as with class folders alone.
    Hidden files, other kinds of files, dangling links, pipes and folders that a link leads to a
    second time are skipped and counted in `skipped`.

    Raises:
        DataError: there is no such folder, it has no class folders, fewer than two classes, a
            class folder without an image, or a class that is not in the train split.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"the folder {str(folder)!r} {problem}; {LAYOUTS}")
    skipped: Counter[str] = Counter()
    rows = [
        Row(f"{class_folder}/{name}", label, split)
        for class_folder, label, split in _class_folders(folder, skipped)
        for name in _class_images(folder / class_folder, skipped)
    ]
    if not rows:
        raise DataError(f"the folder {str(folder)!r} has no class folders; {LAYOUTS}")
    return _source(folder.resolve().name or str(folder), folder, rows, skipped)


def csv_source(path: Path) -> Source:
    """List the images that a CSV file names, sorted by their path.

    A row is path,label or path,label,split with split one of train, val (valid, validation) and
    test. A first row with these words is a header, whose columns may have any order. Paths are
    relative to the CSV's folder.

    Raises:
        DataError: the file cannot be read, a row cannot be used (the message names its line and
            value), an image does not exist, a class is not in the train split, or there are
            fewer than two classes.
    """
    path = Path(path)
    columns, lines = _columns(path, _csv_lines(path))
    first_line: dict[str, int] = {}
    rows = []
    for line, cells in lines:
        row = _csv_row(f"{path} line {line}", columns, cells)
        if (first := first_line.setdefault(row.name, line)) != line:
            raise DataError(
                f"{path} line {line}: {short_repr(row.name)} is on line {first} already"
            )
        rows.append(row)
    missing = [row.name for row in rows if not _is_file(path.parent / row.name)]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} images do not exist or are not files, first "
            f"{short_repr(missing[0])} on line {first_line[missing[0]]}; "
            f"paths are relative to {str(path.parent)!r}"
        )
    return _source(path.stem, path.parent, rows, Counter())


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long, or a parent folder may not be entered
        return False


def scan_folder(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, sorted by name; their types cost no further system call.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error


def classify_entry(entry: os.DirEntry[str]) -> str:
    """Give "folder", "image" (by its suffix), or the reason why an entry is skipped."""
    if entry.name.startswith(".") or entry.name.lower() in HIDDEN:
        return "hidden"
    try:
        if entry.is_dir():
            return "folder"
        if not entry.is_file():
            is_lost = entry.is_symlink() and not Path(entry.path).exists()
            return "dangling link" if is_lost else "not a regular file"
    except PermissionError:
        return "link that may not be followed"
    except OSError:  # a link to itself
        return "dangling link"
    return "image" if entry.name.lower().endswith(SUFFIXES) else "not an image"


def find_images(folder: Path) -> list[Path]:
    """Paths of all image files below a folder, sorted.

    Raises:
        DataError: a folder cannot be read.
    """
    return [folder / name for name in list_images(folder, Counter())]


def list_images(folder: Path, skipped: Counter[str]) -> list[str]:
    """Relative POSIX paths of all images below a folder; counts the other files in `skipped`.

    A folder is read once however many links lead to it, so that a link to a parent ends.

    Raises:
        DataError: a folder cannot be read.
    """
    names: list[str] = []
    seen: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        prefix = pending.pop()
        status = _status(folder / prefix)
        if (status.st_dev, status.st_ino) in seen:
            skipped["folder seen before"] += 1
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in scan_folder(folder / prefix):
            kind = classify_entry(entry)
            if kind == "folder":
                pending.append(f"{prefix}{entry.name}/")
            elif kind == "image":
                names.append(f"{prefix}{entry.name}")
            else:
                skipped[kind] += 1
    return sorted(names)


def _status(folder: Path) -> os.stat_result:
    try:
        return folder.stat()
    except OSError as error:
        raise DataError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error


def _class_images(folder: Path, skipped: Counter[str]) -> list[str]:
    """The images of one class folder; it is an error if there are none."""
    names = list_images(folder, skipped)
    if not names:
        suffixes = " ".join(SUFFIXES)
        raise DataError(f"{str(folder)!r} has no images ({suffixes}); fill or remove that folder")
    return names


def _class_folders(folder: Path, skipped: Counter[str]) -> list[tuple[str, str, str]]:
    """Every class folder as (relative path, class, split)."""
    names = _folders_in(folder, skipped)
    splits = _split_folders(folder, names)
    if not splits:
        return [(name, name, "") for name in names]
    skipped["outside the splits"] += len(names) - len(splits)
    has_only_train = set(splits.values()) == {"train"}
    return [
        (f"{split_folder}/{label}", label, "" if has_only_train else split)
        for split_folder, split in splits.items()
        for label in _folders_in(folder / split_folder, skipped)
    ]


def _split_folders(folder: Path, names: list[str]) -> dict[str, str]:
    """The sub-folders that are splits: {"train": "train", "valid": "val"}.

    Beside other folders, a folder `train` without folders in it is a class (planes, cars, train).
    """
    splits = {name: SPLIT_NAMES[name.lower()] for name in names if name.lower() in SPLIT_NAMES}
    has_classes = any(
        classify_entry(entry) == "folder" for name in splits for entry in scan_folder(folder / name)
    )
    return splits if has_classes or len(splits) == len(names) else {}


def _folders_in(folder: Path, skipped: Counter[str]) -> list[str]:
    """The visible folders directly in a folder; counts the files beside them."""
    names = []
    for entry in scan_folder(folder):
        kind = classify_entry(entry)
        if kind == "folder":
            names.append(entry.name)
        else:
            skipped["not in a class folder" if kind == "image" else kind] += 1
    return names


def _source(name: str, root: Path, rows: list[Row], skipped: Counter[str]) -> Source:
    """Make a source; every class must be in the training split."""
    rows = sorted(rows)
    class_names = tuple(sorted({row.label for row in rows}))
    in_train = {row.label for row in rows if row.split in ("", "train")}
    if missing := [label for label in class_names if label not in in_train]:
        raise DataError(
            f"{name}: class {short_repr(missing[0])} has no images in train; "
            "add some there, or remove the class from the other splits"
        )
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


def _csv_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and cells of all rows that are not blank; never an empty list."""
    try:
        text = read_regular(path, MAX_CSV_BYTES).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read as a CSV file: {reason}") from error
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        raise DataError(f"{path} is empty; its rows are path,label or path,label,split")
    return rows


def _columns(
    path: Path, lines: list[tuple[int, list[str]]]
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, and the lines that are not the header."""
    line, first = lines[0]
    header = [cell.lower() for cell in first]
    if {"path", "label"} <= set(header):
        if sorted(header) not in (["label", "path"], ["label", "path", "split"]):
            given = short_repr(",".join(first))
            raise DataError(
                f"{path} line {line}: columns {given}; use path,label or path,label,split"
            )
        return header, lines[1:]
    return ["path", "label", "split"][: max(2, len(first))], lines


def _csv_row(where: str, columns: list[str], cells: list[str]) -> Row:
    """One image from one row; `where` names the file and line."""
    if len(cells) != len(columns):
        given, expected = short_repr(",".join(cells)), ",".join(columns)
        raise DataError(f"{where}: {given} has {len(cells)} values; expected {expected}")
    value = dict(zip(columns, cells, strict=True))
    if empty := [column for column in ("path", "label") if not value[column]]:
        raise DataError(f"{where}: the {empty[0]} is empty; expected {','.join(columns)}")
    split = value.get("split", "")
    if "split" in columns and split.lower() not in SPLIT_NAMES:
        raise DataError(f"{where}: split {short_repr(split)} is unknown; use {', '.join(SPLITS)}")
    return Row(value["path"], value["label"], SPLIT_NAMES.get(split.lower(), ""))
