"""The store: every picture of a data set decoded once, as one memory-mapped array.

A store is a folder: `images.npy` uint8 [N, S, S, 3], `labels.npy` int64 [N], `moments.npy` float64
[N, 9] (colour sums of each picture, so that the mean and covariance of any subset cost nothing) and
`store.json`. Row i is the i-th picture of the source; a picture that could not be used keeps its
row, black, and is in no split.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from alexnet.config.preprocessing import Resize
from alexnet.config.serialization import from_dict, parse_json, to_json
from alexnet.data.source import first_invalid_label
from alexnet.errors import ConfigError, DataError

STORE_FILES = ("images.npy", "labels.npy", "moments.npy", "store.json")
"""All that a finished store holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """A picture that could not be used."""

    index: int
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """Files that were passed over, such as hidden ones."""

    reason: str
    files: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreInfo:
    """What `store.json` says."""

    name: str
    fingerprint: str
    """Of the source: names, labels, splits and the files' sizes and times."""
    resize: Resize
    side: int
    """Side of the stored pictures in pixels."""
    test_fraction: float
    """Share held out where the source has no split of its own."""
    class_names: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    skipped: tuple[Skipped, ...]
    names: tuple[str, ...]
    """One per picture."""
    splits: tuple[str, ...]
    """"train", "val" or "test" per picture, or "" where the source leaves it open."""


@dataclass(frozen=True)
class Store:
    """An opened store; the pictures stay on the disk until they are read."""

    folder: Path
    info: StoreInfo
    _images: np.ndarray
    """uint8 [N, S, S, 3], memory-mapped."""
    labels: np.ndarray
    """int64 [N]."""
    moments: np.ndarray
    """float64 [N, 9], see `decode.pixel_moments`."""

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def usable(self) -> np.ndarray:
        """False for refused pictures: bool [N]."""
        usable = np.ones(len(self), dtype=bool)
        usable[[refusal.index for refusal in self.info.rejected]] = False
        return usable

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(S, S, 3)."""
        return self.info.side, self.info.side, 3

    @property
    def num_bytes(self) -> int:
        """Bytes of all images."""
        return int(self._images.nbytes)

    def images(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images in the order of `indices`: uint8 [len(indices), S, S, 3].

        Each image is one read. Indexing the memory map instead would cause page faults, each of
        which may read megabytes ahead, and in random order most of that is never used.

        Raises:
            DataError: the file is shorter than it was when the store was opened.
        """
        if not isinstance(self._images, np.memmap) or not hasattr(os, "preadv"):
            return np.asarray(self._images[np.asarray(indices, dtype=np.int64)])
        images = np.empty((len(indices), *self.image_shape), dtype=np.uint8)
        with (self.folder / "images.npy").open("rb", buffering=0) as file:
            for image, index in zip(images, indices, strict=True):
                offset = self._images.offset + int(index) * image.nbytes
                if os.preadv(file.fileno(), [image.data], offset) != image.nbytes:
                    raise DataError(
                        f"{self.folder} has been cut short; remove it and prepare it again"
                    )
        return images

    def image(self, index: int) -> np.ndarray:
        """One image: uint8 [S, S, 3]."""
        image: np.ndarray = self.images([index])[0]
        return image

    def manifest_hash(self) -> str:
        """Sixteen hex digits that change when a picture comes, goes, or changes class or split."""
        digest = hashlib.blake2b(digest_size=8)
        for texts in (self.info.class_names, self.info.names, self.info.splits):
            digest.update(json.dumps(texts).encode())
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        return digest.hexdigest()

    def color_mean(self, rows: np.ndarray) -> np.ndarray:
        """Mean r, g, b of some pictures: float64 [3], 0-255."""
        return np.asarray(self.moments[rows, :3].mean(0))

    def color_covariance(self, rows: np.ndarray) -> np.ndarray:
        """Covariance of r, g, b over all pixels of some pictures: float64 [3, 3]."""
        average = self.moments[rows].mean(0)
        second = np.zeros((3, 3))
        second[np.triu_indices(3)] = average[3:]
        second = second + np.triu(second, 1).T
        covariance: np.ndarray = second - np.outer(average[:3], average[:3])
        return covariance

    def mean_image(self, rows: np.ndarray, chunk: int = 256) -> np.ndarray:
        """Mean picture of some pictures: float32 [S, S, 3], 0-255; read once, a chunk at a time."""
        total = np.zeros(self.image_shape, dtype=np.float64)
        for start in range(0, len(rows), chunk):
            total += self.images(np.sort(rows[start : start + chunk])).sum(0, dtype=np.int64)
        return (total / len(rows)).astype(np.float32)


def open_store(folder: Path) -> Store:
    """Open a finished store.

    Raises:
        DataError: the folder is not a store, or its files do not belong together.
    """
    try:
        info = from_dict(StoreInfo, parse_json((folder / "store.json").read_text(encoding="utf-8")))
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels, moments = np.load(folder / "labels.npy"), np.load(folder / "moments.npy")
    except (OSError, ValueError, ConfigError) as error:
        raise DataError(
            f"{folder} is not a whole store ({error}); remove it and prepare it again"
        ) from error
    shape = (len(info.names), info.side, info.side, 3)
    if (
        images.shape != shape
        or images.dtype != np.uint8
        or not len(labels) == len(moments) == shape[0]
    ):
        raise DataError(
            f"{folder} holds pictures {images.shape}, not {shape}; remove it and prepare it again"
        )
    if (wrong := first_invalid_label(labels, len(info.class_names))) >= 0:
        raise DataError(
            f"{folder / 'labels.npy'}: {info.names[wrong]} has the label {labels[wrong]}, and the "
            f"{len(info.class_names)} classes count from 0; remove {folder} and prepare it again"
        )
    return Store(folder, info, images, labels, moments)


def store_text(info: StoreInfo) -> str:
    """The text of `store.json`."""
    return to_json(info, indent=None)
