"""A data set before decoding: names, labels, classes, splits, and a way to open each image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from alexnet.data.images.open import open_image
from alexnet.errors import DataError
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_IMAGE_BYTES
from alexnet.io.text import LONE_SURROGATE, is_encodable

SPLITS = ("train", "val", "test")


class Images(Protocol):
    """Opens images by index, from any thread."""

    def open(self, index: int, side: int = 0) -> AbstractContextManager[Image.Image]:
        """The image, for a `with` block; `rejection_reason` explains what is raised there.

        `side` as for `open_image`.
        """
        ...

    def signatures(self) -> Iterable[bytes]:
        """Bytes for every image, in order, that change when the image changes."""
        ...

    def content(self, index: int) -> bytes:
        """The bytes of an image before decoding: of its file, wherever that is, or of its array.

        Raises:
            DataError: the image is not there.
            OSError: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class ImageFiles:
    """Images that are files, named relative to one folder.

    ImageNet's 1.3 million names are kept as text, since a `Path` for each would take 0.4 GB.
    """

    folder: Path
    names: tuple[str, ...]

    def path(self, index: int) -> Path:
        """The file of one image."""
        return self.folder / self.names[index]

    def open(self, index: int, side: int = 0) -> AbstractContextManager[Image.Image]:
        """Read and decode the file."""
        return open_image(self.path(index), side)

    def signatures(self) -> Iterable[bytes]:
        """The results of `file_signature`."""
        return (file_signature(self.path(index)) for index in range(len(self.names)))

    def content(self, index: int) -> bytes:
        """The bytes of the file."""
        return read_regular(self.path(index), MAX_IMAGE_BYTES)


@dataclass(frozen=True, eq=False)
class ImageArray:
    """Images that are decoded already: uint8 [N, H, W, 3] or grey [N, H, W]."""

    array: np.ndarray

    def open(self, index: int, side: int = 0) -> AbstractContextManager[Image.Image]:
        """The image as RGB or grey."""
        return Image.fromarray(self.array[index])

    def signatures(self) -> Iterable[bytes]:
        """Hashes of the pixels."""
        return (hashlib.blake2b(one.tobytes(), digest_size=8).digest() for one in self.array)

    def content(self, index: int) -> bytes:
        """The bytes of the pixels."""
        return bytes(self.array[index].tobytes())


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A data set with nothing decoded yet.

    `splits` holds "train", "val" or "test" per image, or "" where the source leaves the split to
    the recipe. A source gives a split to all of its images or to none.
    """

    name: str
    """Name of the data set, or of its folder."""
    class_names: tuple[str, ...]
    """A label is an index into them."""
    names: tuple[str, ...]
    """One name per image: a path inside the data set, or "train/00012"."""
    labels: np.ndarray
    """int64 [N]."""
    splits: tuple[str, ...]
    """One of SPLITS or "" per image."""
    images: Images
    """Opens image i."""
    test_fraction: float = 0.2
    """Fraction of every class held out for the test where the source has no split of its own."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Number of files skipped, by reason: {".txt": 2, "hidden": 1}."""
    notes: tuple[str, ...] = ()
    """What was inferred from the data, one sentence each, for the user."""
    empty_classes: dict[str, str] = field(default_factory=dict)
    """A sentence on each class folder without images, by class; these are no `class_names`."""
    is_labelled: bool = True
    """False where the images have no labels; they are all of one class then."""

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.labels) == len(self.splits):
            raise DataError(
                f"{self.name}: {len(self.names)} names, {len(self.labels)} labels "
                f"and {len(self.splits)} splits"
            )
        if (invalid := first_invalid_label(self.labels, len(self.class_names))) >= 0:
            raise DataError(
                f"{self.name}: {self.names[invalid]} has the label {self.labels[invalid]}, and the "
                f"{len(self.class_names)} classes count from 0; its labels are damaged"
            )
        for name in filter(LONE_SURROGATE.search, self.class_names):
            if not is_encodable(name):
                raise DataError(
                    f"{self.name}: the class {name!r} has half of a character; correct its name"
                )
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        if empty := [c for c, n in zip(self.class_names, counts, strict=True) if n == 0]:
            raise DataError(
                f"{self.name}: class {empty[0]!r} has no images; fill or remove its folder"
            )

    def __repr__(self) -> str:
        classes = f"{len(self.class_names):,} classes"
        return f"Source({self.name!r}, {len(self):,} images, {classes})"

    def __len__(self) -> int:
        return len(self.names)

    def fingerprint(self) -> str:
        """Sixteen hex digits that change when a name, label, split, class or image changes."""
        digest = hashlib.blake2b(digest_size=8)
        for text in (*self.class_names, "", *self.names, "", *self.splits):
            digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(np.ascontiguousarray(self.labels, dtype=np.int64).tobytes())
        for signature in self.images.signatures():
            digest.update(signature)
        return digest.hexdigest()


def file_signature(path: Path) -> bytes:
    """A file's size and modification time, and whether it may be read, since permissions change."""
    try:
        status = path.stat()
    except OSError as error:
        return (error.strerror or "lost").encode()
    suffix = "" if os.access(path, os.R_OK) else " shut"
    return f"{status.st_size} {status.st_mtime_ns}{suffix}".encode()


def first_invalid_label(labels: np.ndarray, num_classes: int) -> int:
    """Index of the first label that is no class, -1 where all are."""
    is_invalid = (labels < 0) | (labels >= num_classes)
    return int(is_invalid.argmax()) if is_invalid.any() else -1


def class_indices(names: Iterable[str], class_names: tuple[str, ...]) -> np.ndarray:
    """Indices, int64 [N], of class names."""
    index = {name: i for i, name in enumerate(class_names)}
    return np.array([index[name] for name in names], dtype=np.int64)
