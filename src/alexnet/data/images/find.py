"""Find image files in folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from glob import glob, has_magic
from pathlib import Path

from alexnet.data.images.formats import SUFFIXES
from alexnet.errors import DataError, UsageError

HIDDEN = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir"})


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


def find_paths(text: str, skipped: Counter[str]) -> list[Path]:
    """The files that a path or a pattern matches, in order; for a folder, the images in it.

    Args:
        text: a path, which need not exist, or a pattern such as "photos/*.jpg".
        skipped: counts the other files of a folder.

    Raises:
        UsageError: no file matches the pattern, or the folder has no images.
        DataError: a folder cannot be read.
    """
    # The name of an existing file may contain the signs of a pattern.
    is_pattern = has_magic(text) and not os.path.exists(text)  # noqa: PTH110
    matches = sorted(map(Path, glob(text, recursive=True))) if is_pattern else [Path(text)]  # noqa: PTH207
    paths: list[Path] = []
    for match in matches:
        is_folder = os.path.isdir(match)  # noqa: PTH112 - a name that is too long is no folder
        paths += [match / name for name in list_images(match, skipped)] if is_folder else [match]
    if not paths:
        raise UsageError(f"there is no image at {text}")
    return paths


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


def describe_skipped(skipped: Mapping[str, int]) -> str:
    """The numbers of skipped files by reason, without the hidden ones: "12 (.heic), 3 (.txt)"."""
    return ", ".join(f"{n} ({why})" for why, n in sorted(skipped.items()) if why != "hidden" and n)
