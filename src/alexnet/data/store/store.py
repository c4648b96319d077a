"""The image store: every image of a data set decoded once to one size.

A store is a folder: the images (`pixels.py`, `jpegs.py`), `labels.npy` int64 [N],
`color_moments.npy` float64 [N, 9] (from which the mean and covariance of any subset follow without
reading an image) and `store.json`. Image i is the i-th of the source. An image that could not be
used is stored as black pixels and is in no split.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from alexnet.config.preprocessing import Resize, StoredForm, StoreFormat
from alexnet.config.recipe import SplitMethod
from alexnet.config.serialization import from_dict, parse_json, to_json
from alexnet.data.source import first_invalid_label
from alexnet.data.store.formats import ImageReader, open_reader
from alexnet.errors import ConfigError, DataError
from alexnet.io.in_use import InUse, mark_used
from alexnet.io.paths import cache_folder
from alexnet.io.text import shape_text

HASHES_FILE = "image_hashes.npy"
"""The file of hashes in a store that was asked for them."""
STORE_FORMAT = 3
"""Part of the name of a store's folder, so that a store of another format is not found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """An image that could not be used."""

    index: int
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """Number of files that were skipped for one reason, such as hidden ones."""

    reason: str
    files: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreInfo:
    """The content of `store.json`."""

    name: str
    fingerprint: str
    """Hash of the source: names, labels, splits and the files' sizes and times. A store of JPEGs
    has another one than a store of pixels."""
    resize: Resize
    side: int
    """Side of the stored images in pixels."""
    store_format: StoreFormat = "pixels"
    """How the images are kept."""
    test_fraction: float
    """Fraction held out where the source has no split of its own."""
    class_names: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    skipped: tuple[Skipped, ...]
    names: tuple[str, ...]
    """One name per image."""
    splits: tuple[str, ...]
    """"train", "val" or "test" per image, or "" where the recipe decides."""
    decoders: tuple[str, ...] = ()
    """The optional formats that were read, if an earlier store lacked one of them."""


@dataclass(frozen=True)
class Store:
    """An opened store; images stay on the disk until they are read."""

    folder: Path
    info: StoreInfo
    _images: np.ndarray | ImageReader
    """uint8 [N, S, S, 3] in memory, or what reads them from the disk."""
    labels: np.ndarray
    """int64 [N]."""
    color_moments: np.ndarray
    """float64 [N, 9], see `decode.color_moments`."""
    notes: tuple[str, ...] = ()
    """Notes of the source that was opened; not stored, since two sources may share a store."""
    in_use: InUse | None = field(default=None, compare=False, repr=False)
    """Keeps `alexnet cache clean` from removing the store."""
    is_planned: bool = False
    """Whether it is not on the disk, and every image is gray."""
    image_hashes: np.ndarray | None = field(default=None, compare=False, repr=False)
    """Hashes of the images before decoding, uint64 [N], 0 for one that cannot be read; None unless
    they were asked for."""

    def __repr__(self) -> str:
        images = f"{len(self):,} images of {shape_text(self.image_shape)}"
        return f"Store({self.info.name!r}, {images}, {len(self.info.class_names):,} classes)"

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def usable(self) -> np.ndarray:
        """False for rejected images: bool [N]."""
        usable = np.ones(len(self), dtype=bool)
        usable[[image.index for image in self.info.rejected]] = False
        return usable

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(S, S, 3)."""
        return self.info.side, self.info.side, 3

    @property
    def num_bytes(self) -> int:
        """Bytes of all images, as they are kept."""
        images = self._images
        return int(images.nbytes) if isinstance(images, np.ndarray) else images.num_bytes

    def images(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images in the order of `indices`: uint8 [len(indices), S, S, 3].

        Args:
            indices: as an array of numpy takes them: negative ones count from the end, and bool [N]
                is the images where it is true.

        Raises:
            IndexError: an image is not there, or these are no indices.
            DataError: a file has been cut short or damaged since the store was opened.
        """
        places = as_indices(indices, len(self))
        if isinstance(self._images, np.ndarray):
            return np.asarray(self._images[places])
        return self._images.read(places)

    def image(self, index: int) -> np.ndarray:
        """One image, as `images` reads it: uint8 [S, S, 3]."""
        image: np.ndarray = self.images([index])[0]
        return image

    def manifest_hash(self, split: SplitMethod = "random") -> str:
        """A hash of the names, labels, classes, splits and rejected images; equal ones split alike.

        It has sixteen hex digits; the pixels do not count. For a split by hash, which changes where
        files are edited, "-" and sixteen digits of a hash of `image_hashes` follow.

        Args:
            split: how the images are split.
        """
        digest = hashlib.blake2b(digest_size=8)
        for texts in (self.info.class_names, self.info.names, self.info.splits):
            digest.update(json.dumps(texts).encode())
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        digest.update(" ".join(self.info.decoders).encode())
        if self.info.rejected:
            digest.update(json.dumps([image.index for image in self.info.rejected]).encode())
        if split != "hash":
            return digest.hexdigest()
        hashes = b"" if self.image_hashes is None else self.image_hashes.astype("<u8").tobytes()
        return f"{digest.hexdigest()}-{hashlib.blake2b(hashes, digest_size=8).hexdigest()}"

    def color_mean(self, indices: np.ndarray) -> np.ndarray:
        """Mean r, g, b of some images: float64 [3], 0-255."""
        return np.asarray(self.color_moments[indices, :3].mean(0))

    def color_covariance(self, indices: np.ndarray) -> np.ndarray:
        """Covariance of r, g, b over all pixels of some images: float64 [3, 3]."""
        average = self.color_moments[indices].mean(0)
        second = np.zeros((3, 3))
        second[np.triu_indices(3)] = average[3:]
        second = second + np.triu(second, 1).T
        covariance: np.ndarray = second - np.outer(average[:3], average[:3])
        return covariance

    def mean_image(self, indices: np.ndarray, chunk: int = 256) -> np.ndarray:
        """Mean of some images: float32 [S, S, 3], 0-255; reads `chunk` images at a time."""
        indices, total = as_indices(indices, len(self)), np.zeros(self.image_shape, np.float64)
        for start in range(0, len(indices), chunk):
            total += self.images(np.sort(indices[start : start + chunk])).sum(0, dtype=np.int64)
        return (total / len(indices)).astype(np.float32)


def as_indices(indices: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    """Indices or a mask, as numpy takes them, as indices from 0 to `count` - 1: int64 [n].

    Args:
        indices: indices of images, where negative ones count from the end; or a mask, bool [count].
        count: number of all images.

    Raises:
        IndexError: an image is not there, or these are no indices.
    """
    found = np.asarray(indices)
    if found.dtype == bool and found.shape == (count,):
        return np.flatnonzero(found)
    if found.shape == (0,):
        return np.zeros(0, np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise IndexError(
            f"images are read by a row of whole numbers or by a mask of {count:,} booleans, not by "
            f"{found.dtype} of the shape {found.shape}"
        )
    first, last = int(found.min()), int(found.max())
    if first < -count or last >= count:
        wrong = last if last >= count else first
        raise IndexError(f"there is no image {wrong:,}: there are {count:,}, which count from 0")
    places = found.astype(np.int64, copy=False)
    return places if first >= 0 else np.where(places < 0, places + count, places)


def open_store(folder: Path) -> Store:
    """Open a finished store, which `alexnet cache clean` keeps while it is used.

    Raises:
        DataError: as `read_store`.
    """
    return _in_use(read_store(folder))


def read_store(folder: Path) -> Store:
    """Read a finished store, without a mark that it is used.

    Raises:
        DataError: the folder is not a store, or its files do not belong together.
    """
    try:
        info = from_dict(StoreInfo, parse_json((folder / "store.json").read_text(encoding="utf-8")))
        images = open_reader(folder, info.store_format, info.side)
        labels = np.load(folder / "labels.npy")
        moments = np.load(folder / "color_moments.npy")
        hashes = np.load(folder / HASHES_FILE) if (folder / HASHES_FILE).exists() else None
    except (OSError, ValueError, ConfigError) as error:
        raise DataError(
            f"{folder} is not a whole store ({error}); remove it and prepare it again"
        ) from error
    shape = (len(info.names), info.side, info.side, 3)
    columns = (labels, moments, labels if hashes is None else hashes)
    has_same_length = all(len(column) == shape[0] for column in columns)
    if images.shape != shape or not has_same_length:
        raise DataError(
            f"{folder} holds images {images.shape}, not {shape}; remove it and prepare it again"
        )
    if (invalid := first_invalid_label(labels, len(info.class_names))) >= 0:
        raise DataError(
            f"{folder / 'labels.npy'}: {info.names[invalid]} has the label {labels[invalid]}, and "
            f"the {len(info.class_names)} classes count from 0; "
            f"remove {folder} and prepare it again"
        )
    return Store(folder, info, images, labels, moments, image_hashes=hashes)


def find_store(manifest_hash: str, form: StoredForm, split: SplitMethod) -> Store | None:
    """The store in the cache with a manifest hash, wherever its images are; None without one.

    Of several, such as those of images that were edited under the same names, it is the one that
    was used last.

    Args:
        manifest_hash: as `Store.manifest_hash`.
        form: form of its images.
        split: how they are split.
    """
    folders = (cache_folder() / "stores").glob(f"*{store_ending(form)}")
    for folder in sorted(folders, key=_used_at, reverse=True):
        with suppress(DataError):  # such as one that is damaged, or removed meanwhile
            store = read_store(folder)
            if store.manifest_hash(split) == manifest_hash:
                return _in_use(store)
    return None


def _in_use(store: Store) -> Store:
    mark_used(store.folder)
    return replace(store, in_use=InUse(store.folder / "store.json"))


def _used_at(folder: Path) -> float:
    """When a store was used last, as `mark_used` sets it; 0 for a folder that is gone."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def store_ending(form: StoredForm) -> str:
    """The end of the name of a store's folder, after the source's name and the fingerprint."""
    kind = "" if form.store_format == "pixels" else f"-{form.store_format}"
    return f"-{form.resize}-{form.resize_size}{kind}-v{STORE_FORMAT}"


def store_text(info: StoreInfo) -> str:
    """The text of `store.json`."""
    return to_json(info, indent=None)
