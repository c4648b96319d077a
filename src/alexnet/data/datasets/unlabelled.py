"""Images without labels, as for the pretraining of layers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from alexnet.data.datasets.file_names import splits_from_folders
from alexnet.data.datasets.folder_layout import find_class_folders
from alexnet.data.images.find import list_images
from alexnet.data.images.formats import SUFFIXES
from alexnet.data.source import ImageFiles, Source
from alexnet.errors import DataError


def has_class_folders(folder: Path) -> bool:
    """Whether a folder holds classes: at least two, or splits of at least one."""
    found = find_class_folders(folder, Counter())
    return len({label for _, label, _ in found}) > 1 or any(split for _, _, split in found)


def unlabelled_source(folder: Path) -> Source:
    """All images below a folder; those that are in folders of splits keep their split.

    All other images are for training.

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
        splits=tuple(splits_from_folders(names)),
        images=ImageFiles(folder, names),
        test_fraction=0.0,
        skipped=dict(sorted(skipped.items())),
        is_labelled=False,
    )
