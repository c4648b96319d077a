"""Where the images of a list lie, if not exactly where it says."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from alexnet.data.datasets.image_lists.entries import Entry, header_error, plain_path
from alexnet.data.datasets.image_lists.table import Table, is_image_name
from alexnet.data.datasets.split_names import is_generic, parse_split_name, split_of
from alexnet.data.images.find import is_hidden
from alexnet.data.images.formats import SUFFIXES
from alexnet.errors import DataError
from alexnet.io.text import short_repr

MAX_FOLDERS = 100
"""Folders beside a list in which its images are looked for."""
TEMPLATES = (
    "{place}{name}",
    "{place}{label}/{name}",
    "{place}{split}/{name}",
    "{place}{split}/{label}/{name}",
)
"""Where an image may lie; `place` is a folder beside the list."""
ADDRESS = re.compile("(https?|ftp|s3|gs)://", re.IGNORECASE)
MAX_PARTS = 20
"""Largest number of leading folders that are removed from a path of another computer."""


def locate_images(table: Table, entries: Sequence[Entry]) -> list[str]:
    """The path of every image, relative to the list's folder; adds a note where it was inferred.

    A path may lack the ending of its file, be written with backslashes, be one of another computer
    whose last folders are here, or leave out a folder: one beside the list, that of its split or
    that of its class. Then all images must be found in the same way, and in one way alone.

    Raises:
        DataError: images are missing, or can be found in two ways.
    """
    root = table.path.parent
    folder = _Folder(root)
    found: Sequence[str | None] = [folder.find(entry.name) for entry in entries]
    if not any(found) and entries:
        found = _find_elsewhere(table, entries, folder) or found
    names = [name for name in found if name is not None]
    if len(names) < len(entries):
        raise _missing_error(table, entries, found)
    _check_two_names_of_one_file(table, entries, names)
    for entry, name in zip(entries, names, strict=True):
        if name != entry.name.replace("\\", "/"):
            table.notes.append(f"paths were completed: {entry.name!r} is {name!r}")
            break
    return names


def _check_two_names_of_one_file(
    table: Table, entries: Sequence[Entry], names: Sequence[str]
) -> None:
    first: dict[str, Entry] = {}
    root = os.path.abspath(table.path.parent)  # noqa: PTH100 - a link in it is not followed
    for entry, name in zip(entries, names, strict=True):
        if (known := first.setdefault(plain_path(root, name), entry)) is not entry:
            raise DataError(
                f"{table.where(entry.number)}: {short_repr(entry.name)} is {short_repr(name)}, "
                f"which is on {table.unit} {known.number} already as {short_repr(known.name)}"
            )


def _missing_error(
    table: Table, entries: Sequence[Entry], found: Sequence[str | None]
) -> DataError:
    missing = [entry for entry, name in zip(entries, found, strict=True) if name is None]
    if table.header is None and missing == [entries[0]] and not is_image_name(entries[0].name):
        return header_error(table)
    folder = str(table.path.parent)
    hint = f"paths are relative to {folder!r}"
    if _is_absolute(missing[0].name):
        hint = f"that is a path of another computer; write paths relative to {folder!r}"
    if ADDRESS.match(missing[0].name):
        hint = (
            f"addresses are not read: download the images, and write paths relative to {folder!r}"
        )
    count = "1 image does" if len(missing) == 1 else f"{len(missing):,} images do"
    files = "is not a file" if len(missing) == 1 else "are not files"
    return DataError(
        f"{table.path}: {count} not exist or {files}, first "
        f"{short_repr(missing[0].name)} on {table.unit} {missing[0].number}; {hint}"
    )


def _is_absolute(name: str) -> bool:
    return PureWindowsPath(name).is_absolute() or PurePosixPath(name).is_absolute()


class _Folder:
    """Finds files below a folder; reads a folder at most once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> str | None:
        """The file that a path means, relative to the root; None where there is none.

        Raises:
            DataError: two files have that name with different endings.
        """
        for form in dict.fromkeys((name, name.replace("\\", "/"))):
            if self._is_file(form):
                return form
            if match := self._similar(form):
                return match
        return None

    def folders(self, below: str = ".") -> list[str]:
        """The visible folders directly in the root, or in a folder relative to it."""
        try:
            with os.scandir(self._root / below) as entries:
                names = sorted(e.name for e in entries if not is_hidden(e.name) and e.is_dir())
        except OSError:
            return []
        return names[:MAX_FOLDERS]

    def _is_file(self, name: str) -> bool:
        try:
            return (self._root / name).is_file()
        except (OSError, ValueError):  # the name is too long, has a NUL, or may not be entered
            return False

    def _similar(self, name: str) -> str | None:
        """A file whose name differs only in case, Unicode normalization or ending; else None."""
        folder, _, last = name.rpartition("/")
        if not last:
            return None
        if folder not in self._files:
            self._files[folder] = self._list(f"{folder}/" if "/" in name else ".")
        matches = self._files[folder].get(_key(last), [])
        if len(matches) > 1:
            raise DataError(
                f"{short_repr(name)} may be {short_repr(matches[0])} or {short_repr(matches[1])} "
                f"in {str(self._root / folder)!r}; write the ending of the file"
            )
        return f"{folder}/{matches[0]}" if matches and "/" in name else "".join(matches) or None

    def _list(self, folder: str) -> dict[str, list[str]]:
        """The files of a folder, by their names and by their names without the ending."""
        files: dict[str, list[str]] = {}
        try:
            with os.scandir(self._root / folder) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file())
        except (OSError, ValueError):
            return {}
        for name in names:
            stem, dot, ending = name.rpartition(".")
            is_image = bool(dot) and f".{ending.lower()}" in SUFFIXES
            for key in {_key(name), _key(stem)} if is_image else {_key(name)}:
                files.setdefault(key, []).append(name)
        return files


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _find_elsewhere(
    table: Table, entries: Sequence[Entry], folder: _Folder
) -> Sequence[str | None]:
    """The images, if all of them are found in exactly one other way; else none.

    Raises:
        DataError: they are found in two ways.
    """
    for count in range(1, min(len(_parts(entries[0])), MAX_PARTS)):
        if names := _find_all(entries, folder, partial(_last_parts, count)):
            return names
    ways = []
    for path_of in _guesses(entries, folder):
        if (names := _find_all(entries, folder, path_of)) and names not in ways:
            ways.append(names)
    if len(ways) > 1:
        ways = [names for names in ways if _is_named_after(table.path.stem, names[0])] or ways
    if len(ways) > 1:
        raise DataError(
            f"{table.path}: {short_repr(entries[0].name)} may be {short_repr(ways[0][0])} or "
            f"{short_repr(ways[1][0])}, and so may the others; write the folder into the paths"
        )
    return ways[0] if ways else ()


def _parts(entry: Entry) -> tuple[str, ...]:
    return PureWindowsPath(entry.name).parts  # of paths with slashes, too


def _find_all(
    entries: Sequence[Entry], folder: _Folder, path_of: Callable[[Entry], str]
) -> list[str]:
    """The files of all entries; empty where one is missing."""
    names: list[str] = []
    for entry in entries:
        if (name := folder.find(path_of(entry))) is None:
            return []
        names.append(name)
    return names


def _is_named_after(stem: str, name: str) -> bool:
    """Whether a list is named after an image's folder, as train_labels.csv after train/."""
    place = name.partition("/")[0]
    parsed = parse_split_name(stem)
    return place == stem or bool(parsed and parsed.split == split_of(place))


def _guesses(entries: Sequence[Entry], folder: _Folder) -> Iterator[Callable[[Entry], str]]:
    """Functions that make a path to try from an entry: in other folders, by split and label."""
    folders = folder.folders()
    split_folders = {split_of(name): name for name in folders}
    beside = [f"../{name}" for name in folder.folders("..") if is_generic(name) or split_of(name)]
    templates = TEMPLATES if entries[0].split else TEMPLATES[:2]
    for place in ("", *(f"{name}/" for name in (*folders, "..", *beside))):
        for template in templates:
            yield partial(_fill, template, place, split_folders)


def _fill(template: str, place: str, split_folders: dict[str, str], entry: Entry) -> str:
    split = split_folders.get(entry.split, entry.split)
    return template.format(place=place, split=split, label=entry.label, name=entry.name)


def _last_parts(start: int, entry: Entry) -> str:
    """The path of an entry without its first `start` parts."""
    return "/".join(_parts(entry)[start:])
