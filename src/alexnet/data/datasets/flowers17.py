"""Oxford 17 flowers: 1,360 photographs, 80 of each class.

Source: Nilsback and Zisserman, A Visual Vocabulary for Flower Classification, CVPR 2006;
https://www.robots.ox.ac.uk/~vgg/data/flowers/17/
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from alexnet.data.datasets.mat import read_mat
from alexnet.data.datasets.published import FLOWERS17_TEST_FRACTION
from alexnet.data.source import ImageFiles, Source
from alexnet.errors import ConfigError, DataError
from alexnet.io.archives import archive_files
from alexnet.io.downloads import atomic_folder, download
from alexnet.io.in_use import mark_used
from alexnet.io.paths import cache_folder, find
from alexnet.reporter import SILENT, Reporter, progress_callback

CLASS_NAMES = (
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
TOTAL = len(CLASS_NAMES) * PER_CLASS  # 17 x 80 = 1,360
NAMES = tuple(f"image_{number:04d}.jpg" for number in range(1, TOTAL + 1))

ARCHIVE = "17flowers.tgz"
URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/17flowers.tgz"
MD5 = "b59a65d8d1a99cd66944d474e1289eab"
SIZE_BYTES = 60_270_631
MEMBER = re.compile(r"(?:\./)?jpg/(image_[0-9]{4}\.jpg)")
SPLIT_KEYS = (("trn", "train"), ("val", "val"), ("tst", "test"))
MAX_MEMBER_BYTES = 4 << 20
"""An image in the archive; the largest real one has 131,344 bytes."""


def flowers17_source(
    data_root: str = "", reporter: Reporter = SILENT, *, official_split: int = 1
) -> Source:
    """The 1,360 photographs in the order of their numbers, which are sorted by class.

    Looks for the images (`17flowers/jpg` or `jpg`), then for `17flowers.tgz`, which is unpacked
    once into the cache, then downloads that. A `datasplits.mat` beside them gives the published
    splits (40 train, 20 val and 20 test images per class); without it the recipe holds out 20 of
    80.

    Args:
        data_root: folder searched first.
        reporter: is told of the download.
        official_split: which of the three published splits, 1 to 3.

    Raises:
        ConfigError: `official_split` is not 1, 2 or 3.
        MissingDataError: the images are not here and cannot be downloaded.
        DataError: the archive or the splits are damaged.
        UsageError: scipy is needed to read the splits, and is not installed.
    """
    if official_split not in (1, 2, 3):
        raise ConfigError(
            f"official_split is {official_split}; the published splits are 1, 2 and 3"
        )
    folder = _image_folder(data_root, reporter)
    split_file = _split_file(folder, data_root)
    return Source(
        name="flowers17",
        class_names=CLASS_NAMES,
        names=tuple(f"jpg/{name}" for name in NAMES),
        labels=np.arange(TOTAL, dtype=np.int64) // PER_CLASS,
        splits=read_splits(split_file, official_split) if split_file else ("",) * TOTAL,
        images=ImageFiles(folder, NAMES),
        test_fraction=FLOWERS17_TEST_FRACTION,
    )


def read_splits(path: Path, number: int) -> tuple[str, ...]:
    """The split of every image from `datasplits.mat`, whose image numbers count from 1.

    Raises:
        DataError: the file does not give each image one split.
        UsageError: scipy is not installed.
    """
    arrays = read_mat(path)
    try:
        return official_splits(arrays, number)
    except Exception as error:  # the file may contain anything
        raise DataError(f"{path} is not the published file: {error}") from error


def official_splits(arrays: Mapping[str, np.ndarray], number: int) -> tuple[str, ...]:
    """The split of every image from the arrays of `datasplits.mat`: trn1, val1, tst1 to tst3.

    Raises:
        KeyError: an array is missing.
        ValueError: an image is in no split or in two.
    """
    parts = [(split, arrays[f"{key}{number}"].ravel()) for key, split in SPLIT_KEYS]
    if sorted(int(index) for _, part in parts for index in part) != [*range(1, TOTAL + 1)]:
        raise ValueError(f"split {number} does not have each of {TOTAL} images once")
    splits = [""] * TOTAL
    for split, part in parts:
        for index in part:
            splits[int(index) - 1] = split
    return tuple(splits)


def _image_folder(data_root: str, reporter: Reporter) -> Path:
    """The folder with all images; unpacks or downloads the archive where there is none."""
    found = find(data_root, (f"17flowers/jpg/{NAMES[0]}", f"jpg/{NAMES[0]}"))
    if found:
        _check_complete(found.parent)
        mark_used(found.parent)
        return found.parent
    downloads = cache_folder() / "data"
    archive = find(data_root, (ARCHIVE,))
    if archive is None:
        archive = download(
            URL,
            downloads / ARCHIVE,
            md5=MD5,
            size_bytes=SIZE_BYTES,
            on_progress=progress_callback(reporter, "on_download"),
        )
    with atomic_folder(downloads / "17flowers") as temporary:
        _unpack(archive, temporary / "jpg")
    _check_complete(downloads / "17flowers" / "jpg")
    return downloads / "17flowers" / "jpg"


def _unpack(archive: Path, folder: Path) -> None:
    """Write only the images of the archive, with their own modification times."""
    folder.mkdir()
    for member, content in archive_files(archive, MEMBER, MAX_MEMBER_BYTES):
        path = folder / Path(member.name).name
        path.write_bytes(content)
        modified_at = min(max(member.mtime, 0), 2**31)
        os.utime(path, (modified_at, modified_at))
    if missing := _missing(folder):
        raise DataError(
            f"{archive} is not the published archive ({len(missing)} of {TOTAL} images are not in "
            f"it, first {missing[0]}); fetch it from {URL}"
        )


def _missing(folder: Path) -> list[str]:
    """The names of images that are not in a folder."""
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return [name for name in NAMES if name not in present]


def _check_complete(folder: Path) -> None:
    """Raise DataError where an image is missing."""
    if missing := _missing(folder):
        raise DataError(
            f"{folder}: {len(missing)} of {TOTAL} images are missing, first {missing[0]}; "
            f"remove {folder.parent} to have it unpacked again"
        )


def _split_file(folder: Path, data_root: str) -> Path | None:
    """`datasplits.mat` beside the images or their folder, or in a data root; None without it."""
    beside = (folder / "datasplits.mat", folder.parent / "datasplits.mat")
    known = find(data_root, ("datasplits.mat", "17flowers/datasplits.mat"))
    return next((path for path in beside if path.is_file()), known)
