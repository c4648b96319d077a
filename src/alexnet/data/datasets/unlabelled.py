"""Pictures without labels: what a data set is good for when nothing is classified."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from alexnet.data.datasets.catalogue import DATASETS, open_source
from alexnet.data.datasets.folder import (
    SPLIT_NAMES,
    SUFFIXES,
    classify_entry,
    entries,
    pictures_below,
)
from alexnet.data.source import FilePictures, Source
from alexnet.errors import DataError


def open_pictures(data: str, data_root: str = "") -> Source:
    """Open a data set as `open_source` does, or a folder whose pictures have no classes.

    A folder has classes where it has two folders, or a split's. Its test pictures are then those
    that a training on it holds out.

    Raises:
        UnknownNameError: it is neither a name nor looks like a path.
        DataError: the path does not exist, or has no pictures.
    """
    path = Path(data).expanduser()
    if data in DATASETS or not data or not path.is_dir():
        return open_source(data, data_root)
    folders = [entry.name for entry in entries(path) if classify_entry(entry) == "folder"]
    has_classes = len(folders) > 1 or any(name.lower() in SPLIT_NAMES for name in folders)
    return open_source(data, data_root) if has_classes else unlabelled_source(path)


def unlabelled_source(folder: Path) -> Source:
    """All pictures below a folder, for training alone.

    Raises:
        DataError: there are none.
    """
    ignored: Counter[str] = Counter()
    names = pictures_below(folder, ignored)
    if not names:
        raise DataError(f"{str(folder)!r} has no pictures ({' '.join(SUFFIXES)})")
    return Source(
        name=folder.resolve().name or str(folder),
        class_names=("pictures",),
        names=tuple(names),
        labels=np.zeros(len(names), dtype=np.int64),
        splits=("",) * len(names),
        images=FilePictures(tuple(folder / name for name in names)),
        test_fraction=0.0,
        skipped=dict(sorted(ignored.items())),
        is_labelled=False,
    )
