"""Paths of callers, and the folders of data sets and cached files on this machine."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from glob import glob
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import platformdirs

from alexnet.errors import MissingDataError, UsageError

FilePath: TypeAlias = "str | os.PathLike[str]"
"""A path as a caller may give it."""
MAX_NAMES = 10_000
"""Most names of a folder among which a similar name is looked for."""
MIN_LIKENESS = 0.75
"""difflib's ratio, 0 to 1, from which two names are similar: one letter in four may differ."""


def path_text(path: object, name: str = "path") -> str:
    """A caller's path as text, with the home folder for a "~" at its start.

    Args:
        path: a text or a path.
        name: name of the argument for the message.

    Raises:
        UsageError: `path` is of another type, or no file can have that path.
    """
    if isinstance(path, str | os.PathLike):
        text = expand_home(path)
        if not may_be_path(text):
            raise UsageError(f"{name} is too long for one, or has a NUL character: {text!r}")
        return text
    kind = "None" if path is None else f"a {type(path).__name__}"
    raise UsageError(f"{name} must be a text or a path, not {kind}{table_hint(path)}")


def is_table(value: object) -> bool:
    """Whether a value is a table like a pandas DataFrame."""
    return hasattr(value, "columns") and hasattr(value, "iloc")


def table_hint(value: object) -> str:
    """A hint for a caller who gives a table instead of a path; "" for any other value."""
    if not is_table(value):
        return ""
    return "; write it to a list, df.to_csv('images.csv', index=False), and give its path"


def expand_home(path: str | os.PathLike[str]) -> str:
    """A path as text, with the home folder for a "~" at its start; "~NAME" of no user stays."""
    # A Path would change other words, such as "hf:OWNER/NAME" and "./mnist".
    return os.path.expanduser(os.fsdecode(path))  # noqa: PTH111


def may_be_path(text: str) -> bool:
    """Whether a file could have this path: it has no NUL character, and is not too long."""
    try:
        os.lstat(text)
    except ValueError:
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def data_roots(data_root: str = "") -> tuple[Path, ...]:
    """The folders searched for data sets: `data_root`, `$ALEXNET_DATA`, the cache's `data`."""
    given = (data_root, os.environ.get("ALEXNET_DATA", ""))
    return (*(Path(path_text(root)) for root in given if root), cache_folder() / "data")


def find(data_root: str, names: Iterable[str]) -> Path | None:
    """The first existing path of `names`, relative to the data roots; None if there is none."""
    candidates = tuple(names)
    paths = (root / name for root in data_roots(data_root) for name in candidates)
    return next((path for path in paths if path.exists()), None)


def matching_paths(pattern: str) -> list[Path]:
    """The sorted paths that match a pattern such as "photos/**/*.jpg".

    Wildcards in the name of an existing folder are taken literally.
    """
    path = Path(pattern)
    # A name that is too long, or a folder that cannot be entered, is no folder here.
    folders = (one for one in path.parents if os.path.isdir(one))  # noqa: PTH112
    folder = next(folders, Path(path.anchor))
    rest = str(path.relative_to(folder)) + ("/" if pattern.endswith(("/", os.sep)) else "")
    names = glob(rest, root_dir=folder, recursive=True)  # noqa: PTH207
    return sorted(folder / name for name in names)


def missing_dataset_error(
    dataset: str, files: str, home: str, data_root: str = ""
) -> MissingDataError:
    """The error for a data set that is not found.

    Args:
        dataset: the data set's name.
        files: names of the files that are needed.
        home: URL of the page that has the files.
        data_root: the folder to put them into, if given.
    """
    folder = data_roots(data_root)[0]
    return MissingDataError(
        f"{dataset} is not here: download {files} from {home} and put it "
        f"into {folder}, or pass --data-root"
    )


def cache_folder() -> Path:
    """The user's cache folder for image stores, downloads and kernels, or `$ALEXNET_CACHE`."""
    given = path_text(os.environ.get("ALEXNET_CACHE", ""))
    return Path(given or platformdirs.user_cache_dir("alexnet"))


def similar_path(path: Path) -> str:
    """The path in the same folder whose name is most similar to a missing one; "" if none is."""
    try:
        names = [child.name for child in islice(path.parent.iterdir(), MAX_NAMES)]
    except (OSError, ValueError):
        return ""
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=MIN_LIKENESS)
    return str(path.with_name(close[0])) if close else ""


def existing_parent(path: Path) -> Path:
    """The path if it exists, else its nearest parent that does."""
    return next(p for p in (path, *path.absolute().parents) if p.exists())
