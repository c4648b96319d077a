"""A data set before decoding: names, labels, classes, splits, and a way to open one picture."""

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

from alexnet.data.images.open import open_picture
from alexnet.errors import DataError

SPLITS = ("train", "val", "test")


class Pictures(Protocol):
    """Opens pictures by index, from any thread."""

    def open(self, index: int) -> AbstractContextManager[Image.Image]:
        """The picture, for a `with` block; what is raised there is told by `rejection_reason`."""
        ...

    def stamp(self, index: int) -> bytes:
        """Bytes that change when the picture changes (for a file its size and time of change)."""
        ...


@dataclass(frozen=True)
class FilePictures:
    """Pictures that are files."""

    paths: tuple[Path, ...]

    def open(self, index: int) -> AbstractContextManager[Image.Image]:
        """Read the file."""
        return open_picture(self.paths[index])

    def stamp(self, index: int) -> bytes:
        """What `file_signature` says."""
        return file_signature(self.paths[index])


@dataclass(frozen=True, eq=False)
class ArrayPictures:
    """Pictures that are already decoded: uint8 [N, H, W, 3] or grey [N, H, W]."""

    array: np.ndarray

    def open(self, index: int) -> AbstractContextManager[Image.Image]:
        """The picture as RGB or grey."""
        return Image.fromarray(self.array[index])

    def stamp(self, index: int) -> bytes:
        """A digest of the pixels."""
        return hashlib.blake2b(self.array[index].tobytes(), digest_size=8).digest()


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A data set with nothing decoded yet.

    `splits` holds "train", "val" or "test" per picture, or "" where the source leaves the split to
    the recipe. A source gives a split to all of its pictures or to none.
    """

    name: str
    """What people type, or the folder's name."""
    class_names: tuple[str, ...]
    """Class names; a label is an index into them."""
    names: tuple[str, ...]
    """One name per picture, as people know it: a path inside the data set, or "train/00012"."""
    labels: np.ndarray
    """int64 [N]."""
    splits: tuple[str, ...]
    """One of SPLITS or "" per picture."""
    images: Pictures
    """Opens picture i."""
    test_fraction: float = 0.2
    """Share of every class held out for the test where the source has no split of its own."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why files were passed over, and how many: {"hidden": 2, "not a picture": 1}."""

    is_labelled: bool = True
    """Whether the classes mean anything; pictures without labels are all of one class."""

    def __post_init__(self) -> None:
        if len(self.class_names) < 2 and self.is_labelled:
            raise DataError(
                f"{self.name} has {len(self.class_names)} class; "
                "a classifier needs at least two class folders"
            )
        if not len(self.names) == len(self.labels) == len(self.splits):
            raise DataError(
                f"{self.name}: {len(self.names)} names, {len(self.labels)} labels "
                f"and {len(self.splits)} splits"
            )
        if (wrong := first_invalid_label(self.labels, len(self.class_names))) >= 0:
            raise DataError(
                f"{self.name}: {self.names[wrong]} has the label {self.labels[wrong]}, and the "
                f"{len(self.class_names)} classes count from 0; its labels are damaged"
            )
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        if empty := [c for c, n in zip(self.class_names, counts, strict=True) if n == 0]:
            raise DataError(
                f"{self.name}: class {empty[0]!r} has no pictures; fill or remove its folder"
            )

    def __len__(self) -> int:
        return len(self.names)

    def fingerprint(self) -> str:
        """Sixteen hex digits that change when a name, label, split, class or picture changes."""
        digest = hashlib.blake2b(digest_size=8)
        for text in (*self.class_names, "", *self.names, "", *self.splits):
            digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(np.ascontiguousarray(self.labels, dtype=np.int64).tobytes())
        for index in range(len(self)):
            digest.update(self.images.stamp(index))
        return digest.hexdigest()


def file_signature(path: Path) -> bytes:
    """A file's size and modification time, and whether it may be read, which people mend."""
    try:
        status = path.stat()
    except OSError as error:
        return (error.strerror or "lost").encode()
    mark = "" if os.access(path, os.R_OK) else " shut"
    return f"{status.st_size} {status.st_mtime_ns}{mark}".encode()


def first_invalid_label(labels: np.ndarray, classes: int) -> int:
    """The first picture whose label is no class, -1 where all are."""
    strange = (labels < 0) | (labels >= classes)
    return int(strange.argmax()) if strange.any() else -1


def labels_from(names: Iterable[str], classes: tuple[str, ...]) -> np.ndarray:
    """Class indices, int64 [N], of class names."""
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index[name] for name in names], dtype=np.int64)
