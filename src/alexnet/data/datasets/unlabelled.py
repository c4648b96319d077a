"""Images without labels, as for the pretraining of layers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from alexnet.data.datasets.split_names import split_of
from alexnet.data.images.find import classify_entry, list_images, scan_folder
from alexnet.data.images.formats import SUFFIXES
from alexnet.data.source import ImageFiles, Source
from alexnet.errors import DataError


def has_class_folders(folder: Path) -> bool:
    """Whether a folder holds classes: it has at least two folders, or a split's folder."""
    folders = [entry.name for entry in scan_folder(folder) if classify_entry(entry) == "folder"]
    return len(folders) > 1 or any(map(split_of, folders))


def unlabelled_source(folder: Path) -> Source:
    """All images below a folder, for training alone.

    Raises:
        DataError: there are none.
    """
    skipped: Counter[str] = Counter()
    names = tuple(list_images(folder, skipped))
    if not names:
        raise DataError(f"{str(folder)!r} has no images ({' '.join(SUFFIXES)})")
    return Source(
        name=folder.resolve().name or str(folder),
        class_names=("images",),
        names=names,
        labels=np.zeros(len(names), dtype=np.int64),
        splits=("",) * len(names),
        images=ImageFiles(folder, names),
        test_fraction=0.0,
        skipped=dict(sorted(skipped.items())),
        is_labelled=False,
    )
