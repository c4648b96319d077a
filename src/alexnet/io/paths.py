"""Where data sets and stores live on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from alexnet.errors import MissingDataError


def data_roots(data_root: str = "") -> tuple[Path, ...]:
    """Folders searched for data sets: the argument, `$ALEXNET_DATA`, the cache's `data`."""
    given = (data_root, os.environ.get("ALEXNET_DATA", ""))
    return (*(Path(root) for root in given if root), cache_folder() / "data")


def find(data_root: str, names: Iterable[str]) -> Path | None:
    """The first of `names` (relative paths) that exists under a data root, or None."""
    wanted = tuple(names)
    return next(
        (
            root / name
            for root in data_roots(data_root)
            for name in wanted
            if (root / name).exists()
        ),
        None,
    )


def missing_dataset_error(
    dataset: str, files: str, home: str, data_root: str = ""
) -> MissingDataError:
    """The error for a data set that is not here: what to fetch, from where, and where to put it."""
    place = data_roots(data_root)[0]
    return MissingDataError(
        f"{dataset} is not here: fetch {files} from {home} and put it into {place}, "
        "or pass --data-root"
    )


def cache_folder() -> Path:
    """The user's cache folder for stores, downloads and kernels (`$ALEXNET_CACHE` moves it)."""
    return Path(os.environ.get("ALEXNET_CACHE") or platformdirs.user_cache_dir("alexnet"))
