"""Find image files in folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from glob import has_magic
from pathlib import Path, PurePath

from alexnet.data.images.formats import SUFFIXES
from alexnet.data.images.kinds import READ, kind_of_file
from alexnet.data.images.rejection import is_machine_failure
from alexnet.errors import DataError, UsageError
from alexnet.io.paths import matching_paths

ENDING = re.compile(r"\.(?=.*[a-z])[a-z0-9_+-]{1,10}", re.ASCII)
MAX_REASONS = 10
"""Endings and reasons that a message lists."""
HIDDEN = re.compile(
    r"\..*|__macosx|thumbs\.db|desktop\.ini"
    r"|\$recycle\.bin|recycler|system volume information|found\.[0-9]{3}|lost\+found"
    r"|@eadir|[#@]recycle|[#~]snapshot|@recently-snapshot",
    re.IGNORECASE | re.DOTALL,
)
"""Files and folders of systems: of macOS and Windows, of drives, and of Synology, QNAP and NetApp;
among them the deleted images."""


def scan_folder(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, sorted by name; their types cost no further system call.

    Raises:
        DataError: the folder cannot be read.
    """
    return sorted(_entries(folder), key=lambda entry: entry.name)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from found
    except OSError as error:
        raise DataError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one of the system, or its name begins with a dot."""
    return HIDDEN.fullmatch(name) is not None


def visible_files(folder: Path) -> Iterator[Path]:
    """All files below a folder but hidden ones; folders that cannot be read are left out."""
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (Path(top, name) for name in names if not is_hidden(name))


def classify_entry(entry: os.DirEntry[str]) -> str:
    """Give "folder", "image", or why an entry is skipped: its ending, or a reason in words.

    A file is an image by its ending, or where it has none by its content.

    Raises:
        DataError: the machine failed.
    """
    if is_hidden(entry.name):
        return "hidden"
    try:
        if entry.is_dir():
            return "folder"
        if not entry.is_file():
            is_lost = entry.is_symlink() and not Path(entry.path).exists()
            return "dangling link" if is_lost else "not a regular file"
    except PermissionError:
        return "link that may not be followed"
    except OSError as error:
        _check_machine(error, entry.path)
        return "dangling link"  # to itself
    if entry.name.lower().endswith(SUFFIXES):
        return "image"
    return ending(entry.name) or ("image" if _has_image(Path(entry.path)) else "not an image")


def ending(name: str) -> str:
    """The ending of a file name in lower case; "" for "IMG_0001", "photo 3.5" or "Mr. Smith"."""
    suffix = PurePath(name).suffix.lower()
    return suffix if ENDING.fullmatch(suffix) else ""


def _has_image(path: Path) -> bool:
    try:
        return kind_of_file(path) in READ
    except OSError as error:
        _check_machine(error, str(path))
        return False


def _check_machine(error: OSError, path: str) -> None:
    if is_machine_failure(error):
        raise DataError(f"{path!r} cannot be read now: {error.strerror}") from error


def find_paths(text: str, skipped: Counter[str]) -> list[str]:
    """The files of `match_paths`, for a path or a pattern that must have an image.

    Raises:
        UsageError: no file matches the pattern, or the folder has no images.
        DataError: a folder cannot be read.
    """
    paths = match_paths(text, skipped)
    if not paths:
        raise UsageError(no_image_text(text))
    return paths


def no_image_text(text: str) -> str:
    """The error message for a path or a pattern without images."""
    return f"there is no image at {text}"


def match_paths(text: str, skipped: Counter[str]) -> list[str]:
    """The files that a path or a pattern matches, in order; for a folder, the images in it.

    Args:
        text: a path, which need not exist, or a pattern such as "photos/*.jpg".
        skipped: counts the other files of a folder.

    Raises:
        DataError: a folder cannot be read.
    """
    # The name of an existing file may contain the signs of a pattern.
    is_pattern = has_magic(text) and not os.path.exists(text)  # noqa: PTH110
    matches = matching_paths(text) if is_pattern else [Path(text)]
    paths: list[str] = []  # of millions of files, texts need a third of the memory of paths
    for match in matches:
        if os.path.isdir(match):  # noqa: PTH112 - a name that is too long is no folder
            start = str(match / "x")[:-1]
            paths += (start + name.replace("/", os.sep) for name in list_images(match, skipped))
        else:
            paths.append(str(match))
    return paths


def list_images(folder: Path, skipped: Counter[str]) -> list[str]:
    """Relative POSIX paths of all images below a folder; counts the other files in `skipped`.

    A folder is read once however many links lead to it, so that a link to a parent ends.

    Raises:
        DataError: a folder cannot be read.
    """
    names: list[str] = []
    others: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        prefix = pending.pop()
        status = _status(folder / prefix)
        if (status.st_dev, status.st_ino) in seen:
            others["folder seen before"] += 1
            continue
        seen.add((status.st_dev, status.st_ino))
        folders: list[str] = []
        for entry in _entries(folder / prefix):  # an entry takes five times its name's memory
            kind = classify_entry(entry)
            if kind == "folder":
                folders.append(f"{prefix}{entry.name}/")
            elif kind == "image":
                names.append(f"{prefix}{entry.name}")
            else:
                others[kind] += 1
        pending += sorted(folders)
    skipped.update(dict(sorted(others.items())))
    names.sort()
    return names


def _status(folder: Path) -> os.stat_result:
    try:
        return folder.stat()
    except OSError as error:
        raise DataError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error


def describe_skipped(skipped: Mapping[str, int]) -> str:
    """The numbers of skipped files, most first, without the hidden ones: ".heic 12, .txt 3"."""
    counts = Counter({reason: count for reason, count in skipped.items() if reason != "hidden"})
    first = [f"{reason} {count:,}" for reason, count in counts.most_common(MAX_REASONS)]
    rest = counts.total() - sum(count for _, count in counts.most_common(MAX_REASONS))
    return ", ".join([*first, f"others {rest:,}"] if rest else first)
