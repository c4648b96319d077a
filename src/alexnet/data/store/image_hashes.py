"""Hashes of a data set's images as they are before decoding, by which `--split hash` knows them.

They are in a store that was asked for them, as `image_hashes.npy`: uint64 [N].
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.data.source import Images
from alexnet.data.store.store import HASHES_FILE, Store
from alexnet.data.threads import map_bounded
from alexnet.errors import DataError
from alexnet.io.files import atomic_write
from alexnet.ops.cores import num_cores
from alexnet.reporter import ProgressCallback, ignore_progress


def with_image_hashes(
    store: Store, images: Images, on_progress: ProgressCallback = ignore_progress
) -> Store:
    """The store with the hashes of its images, which are computed now unless they have been before.

    Args:
        store: a finished or a planned one.
        images: those of its source.
        on_progress: called with (images done, images in all).

    Raises:
        DataError: an image cannot be read any more.
    """
    if store.image_hashes is not None:
        return store
    hashes = hash_images(images, store.info.names, on_progress)
    lost = np.flatnonzero(store.usable & (hashes == 0))
    if not store.is_planned:
        if len(lost):
            name = store.info.names[lost[0]]
            raise DataError(f"{name} cannot be read any more; run the same again")
        _save(store.folder / HASHES_FILE, hashes)
    return replace(store, image_hashes=hashes)


def hash_images(
    images: Images, names: Sequence[str], on_progress: ProgressCallback = ignore_progress
) -> np.ndarray:
    """A hash of the content of each image: uint64 [N]; 0 for one that cannot be read.

    Args:
        images: as a data set has them.
        names: one per image.
        on_progress: called with (images done, images in all).

    Raises:
        DataError: the machine failed, and not an image.
    """

    def hash_of(index: int) -> int:
        try:
            content = images.content(index)
        except IMAGE_ERRORS as error:
            rejection_reason(error, names[index])
            return 0
        return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")

    hashes = np.zeros(len(names), np.uint64)
    with ThreadPoolExecutor(num_cores()) as pool:
        for index, found in enumerate(map_bounded(pool, hash_of, range(len(names)))):
            hashes[index] = found
            on_progress(index + 1, len(names))
    return hashes


def _save(path: Path, hashes: np.ndarray) -> None:
    with (
        suppress(OSError),  # a cache that is only read: they are computed again the next time
        atomic_write(path) as temporary,
        temporary.open("wb") as file,
    ):
        np.save(file, hashes)
