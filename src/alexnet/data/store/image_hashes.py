"""Hashes of a data set's images as they are before decoding, by which `--split hash` knows them.

They are in a store that was asked for them, as `image_hashes.npy`: uint64 [N]. One process at a
time reads the images for it; a second one waits and then uses the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.data.source import Images
from alexnet.data.store.store import HASHES_FILE, Store, read_store
from alexnet.data.threads import map_bounded
from alexnet.errors import DataError
from alexnet.io.files import atomic_write
from alexnet.io.locks import waiting_lock
from alexnet.io.resumable import WITHOUT_LOCKS, with_note
from alexnet.ops.cores import num_cores
from alexnet.reporter import NoteCallback, ProgressCallback, ignore_note, ignore_progress


def with_image_hashes(
    store: Store,
    images: Images,
    on_progress: ProgressCallback = ignore_progress,
    on_note: NoteCallback = ignore_note,
) -> Store:
    """The store with the hashes of its images, which are computed now unless they have been before.

    Args:
        store: a finished or a planned one.
        images: the images of its source.
        on_progress: called with (images done, images in all).
        on_note: called with a sentence if another process computes them, or the file system has no
            locks.

    Raises:
        DataError: an image cannot be read any more.
    """
    if store.image_hashes is not None:
        return store
    if store.is_planned:
        return replace(store, image_hashes=hash_images(images, store.info.names, on_progress))
    with _one_process(store.folder, on_note):
        hashes = read_store(store.folder).image_hashes  # another process may have been first
        if hashes is None:
            hashes = hash_images(images, store.info.names, on_progress)
            if len(lost := np.flatnonzero(store.usable & (hashes == 0))):
                name = store.info.names[lost[0]]
                raise DataError(f"{name} cannot be read any more; run the same again")
            _save(store.folder / HASHES_FILE, hashes)
    return replace(store, image_hashes=hashes)


@contextmanager
def _one_process(folder: Path, on_note: NoteCallback) -> Iterator[None]:
    """Wait for the lock of a store; go on without one in a read-only cache."""
    note = f"another process hashes the images of the store {folder.name}; waiting for it"
    wait = with_note(lambda: None, partial(on_note, note))
    lock = folder.with_name(f"{folder.name}.lock")
    with ExitStack() as stack:
        with suppress(OSError):
            lock_context = waiting_lock(lock, wait, on_note, WITHOUT_LOCKS.format("file of hashes"))
            stack.enter_context(lock_context)
        yield


def hash_images(
    images: Images, names: Sequence[str], on_progress: ProgressCallback = ignore_progress
) -> np.ndarray:
    """A hash of the content of each image: uint64 [N]; 0 for one that cannot be read.

    Args:
        images: the images of a data set.
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
