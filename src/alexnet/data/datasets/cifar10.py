"""CIFAR-10: 60,000 images of 32x32 pixels in ten classes, in the official layouts.

Its binary version has records of bytes; its version for Python, which torchvision downloads, has
pickles.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009;
https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import os
import pickletools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from alexnet.data.source import ImageArray, Source
from alexnet.errors import DataError
from alexnet.io.archives import archive_files
from alexnet.io.downloads import download
from alexnet.io.files import read_regular, rename
from alexnet.io.in_use import mark_used
from alexnet.io.paths import cache_folder, find
from alexnet.io.text import error_text
from alexnet.reporter import SILENT, Reporter, progress_callback

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
BATCH_RECORDS = 10_000
RECORD_BYTES = 1 + 3 * 32 * 32  # the label, then the planes of red, green and blue: 3,073

FOLDER, PYTHON_FOLDER = "cifar-10-batches-bin", "cifar-10-batches-py"
ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-binary.tar.xz")
PYTHON_ARCHIVE = "cifar-10-python.tar.gz"
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
BATCH = r"(?:data_batch_[1-5]|test_batch)"
MEMBER = re.compile(rf"(?:\./)?(?:{FOLDER}/{BATCH}\.bin|{PYTHON_FOLDER}/{BATCH})")


def cifar10_source(data_root: str = "", reporter: Reporter = SILENT) -> Source:
    """The 50,000 training images, then the 10,000 test images, in the official order.

    Looks for the folder `cifar-10-batches-bin`, then its archive, then the version for Python, then
    downloads the archive. Its records are read once into `cifar-10/images.npy` (uint8
    [60000, 32, 32, 3], 184 MB) and `labels.npy` in the cache, which later calls memory-map; remove
    these to have the records read again.

    Args:
        data_root: folder searched first.
        reporter: is told of the download.

    Raises:
        MissingDataError: the data set is not here and cannot be downloaded.
        DataError: a file does not hold 10,000 records with labels below 10.
    """
    cache = cache_folder() / "data" / "cifar-10"
    arrays = _open_cache(cache)
    if arrays is None:
        _write_cache(_find_records(data_root, reporter), cache)
        arrays = _open_cache(cache)
    if arrays is None:
        raise DataError(f"{cache} cannot be read back; check the disk or move $ALEXNET_CACHE")
    mark_used(cache)
    images, labels = arrays
    num_train = (len(BATCHES) - 1) * BATCH_RECORDS
    return Source(
        name="cifar10",
        class_names=CLASS_NAMES,
        names=(
            *(f"train/{index:05d}" for index in range(num_train)),
            *(f"test/{index:05d}" for index in range(BATCH_RECORDS)),
        ),
        labels=labels.astype(np.int64),
        splits=("train",) * num_train + ("test",) * BATCH_RECORDS,
        images=ImageArray(images),
    )


def _find_records(data_root: str, reporter: Reporter) -> Path:
    """The folder of records or the archive; downloads the archive if both are missing."""
    found = find(data_root, (FOLDER, *ARCHIVES, PYTHON_FOLDER, PYTHON_ARCHIVE))
    target = cache_folder() / "data" / ARCHIVES[0]
    on_progress = progress_callback(reporter, "on_download")
    return found or download(URL, target, md5=MD5, on_progress=on_progress)


def _open_cache(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The memory-mapped images and the labels; None if one is missing or damaged."""
    total = len(BATCHES) * BATCH_RECORDS
    try:
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy")
    except (OSError, ValueError, EOFError):
        return None
    is_whole = images.shape == (total, 32, 32, 3) and labels.shape == (total,)
    return (images, labels) if is_whole and images.dtype == labels.dtype == np.uint8 else None


def _write_cache(found: Path, cache: Path) -> None:
    """Turn a folder or archive of records into the two arrays, in a temporary folder first."""
    total = len(BATCHES) * BATCH_RECORDS
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".tmp-") as name:
            temporary = Path(name)
            images = np.lib.format.open_memmap(
                temporary / "images.npy", mode="w+", dtype=np.uint8, shape=(total, 32, 32, 3)
            )
            labels = np.empty(total, np.uint8)
            _fill(found, images, labels)
            images.flush()
            del images  # Windows does not move a file that is mapped
            with (temporary / "labels.npy").open("wb") as file:
                np.save(file, labels)
                os.fsync(file.fileno())
            for array in ("images.npy", "labels.npy"):
                rename(temporary / array, cache / array)
    except OSError as error:
        reason = f"{error.strerror or error}; free some space, or move $ALEXNET_CACHE"
        raise DataError(f"{cache} cannot be written: {reason}") from error


def _fill(found: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Read all six batches into the arrays.

    Args:
        found: the folder or archive.
        images: uint8 [60000, 32, 32, 3], to fill.
        labels: uint8 [60000], to fill.

    Raises:
        DataError: a batch is missing or damaged.
    """
    missing = set(BATCHES)
    for name, content in _read_batches(found):
        batch, where = f"{name.removesuffix('.bin')}.bin", f"{name} in {found}"
        first = BATCHES.index(batch) * BATCH_RECORDS
        part = slice(first, first + BATCH_RECORDS)
        is_binary = name == batch
        records = _parse_records(content if is_binary else _from_pickle(content, where), where)
        labels[part] = records[:, 0]
        images[part] = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        missing.discard(batch)
    if missing:
        raise DataError(f"{found} has no {min(missing)}; fetch {URL} again")


def _read_batches(found: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every batch file of a folder or an archive."""
    if found.is_file():
        for member, content in archive_files(found, MEMBER, 2 * BATCH_RECORDS * RECORD_BYTES):
            yield Path(member.name).name, content
        return
    for name in BATCHES:
        batch = name if found.name == FOLDER else name.removesuffix(".bin")
        try:
            yield batch, read_regular(found / batch, 2 * BATCH_RECORDS * RECORD_BYTES)
        except OSError as error:
            raise DataError(f"{found / batch} cannot be read: {error.strerror}") from error


def _from_pickle(content: bytes, where: str) -> bytes:
    """Convert a batch of the Python version to the records of the binary version.

    The pickle is read value by value: nothing that it names is imported or called.

    Raises:
        DataError: its values are not those of a batch.
    """
    labels: list[int] = []
    images = last = b""
    try:
        for operation, value, _ in pickletools.genops(content):
            if isinstance(value, str | bytes):
                last = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
                images = max(images, last, key=len)  # the longest value
            elif last == b"labels" and operation.name.startswith("BININT"):
                labels.append(cast(int, value))
        pixels = np.frombuffer(images, np.uint8).reshape(len(labels), RECORD_BYTES - 1)
        return np.column_stack((np.frombuffer(bytes(labels), np.uint8), pixels)).tobytes()
    except ValueError as error:
        raise DataError(f"{where} is not a batch ({error_text(error)}); fetch {URL}") from error


def _parse_records(content: bytes, where: str) -> np.ndarray:
    """The records of one batch file, uint8 [10000, 3073].

    Raises:
        DataError: the size or a label is wrong.
    """
    expected_bytes = BATCH_RECORDS * RECORD_BYTES
    if len(content) != expected_bytes:
        sizes = f"has {len(content)} bytes, not {expected_bytes}"
        raise DataError(f"{where} {sizes} ({BATCH_RECORDS} records); fetch {URL} again")
    records = np.frombuffer(content, np.uint8).reshape(BATCH_RECORDS, RECORD_BYTES)
    highest = int(records[:, 0].max())
    if highest >= len(CLASS_NAMES):
        raise DataError(f"{where} has a label {highest}, not 0 to 9; fetch {URL} again")
    return records
