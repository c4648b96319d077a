"""Oxford 17 flowers: 1,360 photographs, 80 of each class.

Source: Nilsback and Zisserman, A Visual Vocabulary for Flower Classification, CVPR 2006;
https://www.robots.ox.ac.uk/~vgg/data/flowers/17/
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from alexnet.data.datasets.mat import read_mat
from alexnet.data.source import FilePictures, Source
from alexnet.errors import ConfigError, DataError
from alexnet.io.archives import archive_files
from alexnet.io.downloads import atomic_folder, download
from alexnet.io.paths import cache_folder, find

CLASSES = (
    "daffodil",
    "snowdrop",
    "lily valley",
    "bluebell",
    "crocus",
    "iris",
    "tigerlily",
    "tulip",
    "fritillary",
    "sunflower",
    "daisy",
    "colts' foot",
    "dandelion",
    "cowslip",
    "buttercup",
    "windflower",
    "pansy",
)
PER_CLASS = 80
TOTAL = len(CLASSES) * PER_CLASS  # 17 x 80 = 1,360
NAMES = tuple(f"image_{number:04d}.jpg" for number in range(1, TOTAL + 1))

ARCHIVE = "17flowers.tgz"
URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/17flowers.tgz"
MD5 = "b59a65d8d1a99cd66944d474e1289eab"
SIZE_BYTES = 60_270_631
MEMBER = re.compile(r"(?:\./)?jpg/(image_[0-9]{4}\.jpg)")
SPLIT_KEYS = (("trn", "train"), ("val", "val"), ("tst", "test"))
LARGEST_PICTURE_BYTES = 4 << 20  # the largest real one has 131,344 bytes


def flowers17_source(data_root: str = "", *, official_split: int = 1) -> Source:
    """Give the 1,360 photographs in the order of their numbers, which is that of the classes.

    Looks for the pictures (`17flowers/jpg` or `jpg`), then for `17flowers.tgz`, which is unpacked
    once into the cache, then downloads that. A `datasplits.mat` beside them gives the published
    splits (40 train, 20 val and 20 test a class); without it the recipe splits 60 to 20.

    Args:
        data_root: Folder searched first.
        official_split: Which of the three published splits, 1 to 3.

    Raises:
        ConfigError: `official_split` is not 1, 2 or 3.
        MissingDataError: the pictures are not here and cannot be downloaded.
        DataError: the archive or the splits are damaged, or scipy is needed to read the splits.
    """
    if official_split not in (1, 2, 3):
        raise ConfigError(
            f"official_split is {official_split}; the published splits are 1, 2 and 3"
        )
    folder = _picture_folder(data_root)
    table = _split_file(folder, data_root)
    return Source(
        name="flowers17",
        class_names=CLASSES,
        names=tuple(f"jpg/{name}" for name in NAMES),
        labels=np.arange(TOTAL, dtype=np.int64) // PER_CLASS,
        splits=read_splits(table, official_split) if table else ("",) * TOTAL,
        images=FilePictures(tuple(folder / name for name in NAMES)),
        test_fraction=0.25,  # 20 of 80
    )


def read_splits(table: Path, number: int) -> tuple[str, ...]:
    """Read the split of every picture from `datasplits.mat`, whose numbers count from 1.

    Raises:
        DataError: scipy is not installed, or the file does not give each picture one split.
    """
    splits, arrays = [""] * TOTAL, read_mat(table)
    try:
        parts = [(split, arrays[f"{key}{number}"].ravel()) for key, split in SPLIT_KEYS]
        if sorted(int(index) for _, part in parts for index in part) != [*range(1, TOTAL + 1)]:
            raise ValueError(f"split {number} does not have each of {TOTAL} pictures once")
    except Exception as error:  # what is in it may be anything
        raise DataError(f"{table} is not the published file: {error}") from error
    for split, part in parts:
        for index in part:
            splits[int(index) - 1] = split
    return tuple(splits)


def _picture_folder(data_root: str) -> Path:
    """Find the folder with all pictures; unpack or download the archive where there is none."""
    found = find(data_root, (f"17flowers/jpg/{NAMES[0]}", f"jpg/{NAMES[0]}"))
    if found:
        _check_complete(found.parent)
        return found.parent
    downloads = cache_folder() / "data"
    archive = find(data_root, (ARCHIVE,))
    if archive is None:
        archive = download(URL, downloads / ARCHIVE, md5=MD5, size_bytes=SIZE_BYTES)
    with atomic_folder(downloads / "17flowers") as aside:
        _unpack(archive, aside / "jpg")
    _check_complete(downloads / "17flowers" / "jpg")
    return downloads / "17flowers" / "jpg"


def _unpack(archive: Path, folder: Path) -> None:
    """Write the archive's pictures, and nothing else of it, with their own times of change."""
    folder.mkdir()
    for member, content in archive_files(archive, MEMBER, LARGEST_PICTURE_BYTES):
        path = folder / Path(member.name).name
        path.write_bytes(content)
        changed_at = min(max(member.mtime, 0), 2**31)
        os.utime(path, (changed_at, changed_at))
    lost = _lost(folder)
    if lost:
        lack = f"{len(lost)} of {TOTAL} pictures are not in it, first {lost[0]}"
        raise DataError(f"{archive} is not the published archive ({lack}); fetch it from {URL}")


def _lost(folder: Path) -> list[str]:
    """Name the pictures that are not in a folder."""
    with os.scandir(folder) as found:
        here = {entry.name for entry in found}
    return [name for name in NAMES if name not in here]


def _check_complete(folder: Path) -> None:
    """Refuse a folder where a picture is missing."""
    lost = _lost(folder) if folder.is_dir() else list(NAMES)
    if lost:
        lack = f"{len(lost)} of {TOTAL} pictures are missing, first {lost[0]}"
        raise DataError(f"{folder}: {lack}; remove {folder.parent} to have it unpacked again")


def _split_file(folder: Path, data_root: str) -> Path | None:
    """Find `datasplits.mat` beside the pictures, their folder or the archive."""
    beside = (folder / "datasplits.mat", folder.parent / "datasplits.mat")
    known = find(data_root, ("datasplits.mat", "17flowers/datasplits.mat"))
    return next((path for path in beside if path.is_file()), known)
