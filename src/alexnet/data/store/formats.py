"""The formats of an image store: what each reads, writes and takes on the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from alexnet.config.preprocessing import StoreFormat
from alexnet.data.store.jpegs import (
    JPEG_FILES,
    JPEG_IDENTITY,
    JpegReader,
    JpegWriter,
    estimated_bytes,
)
from alexnet.data.store.pixels import PIXEL_FILES, PixelReader, PixelWriter

STORE_FILES = ("labels.npy", "color_moments.npy", "store.json")
"""What a finished store of either format holds beside its images."""


class ImageReader(Protocol):
    """The images of a finished store."""

    shape: tuple[int, ...]
    """[N, S, S, 3]."""
    num_bytes: int
    """Bytes on the disk."""

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images in the order of `indices`: uint8 [len(indices), S, S, 3]."""
        ...


class ImageWriter(Protocol):
    """The images of a store that is being built; `encode` is called in many threads."""

    def encode(self, index: int, pixels: np.ndarray) -> tuple[np.ndarray, bytes]:
        """Encode an image; return the pixels as they will be read, and what `append` needs."""
        ...

    def append(self, index: int, content: bytes) -> None:
        """Write what `encode` returned for `append`; called in the order of the images."""
        ...

    def checksum(self, index: int, content: bytes = b"") -> int:
        """The checksum of what `encode` returned, or of the image as it is written."""
        ...

    def forget_after(self, is_stored: np.ndarray) -> None:
        """Drop what was written of images for which `is_stored`, bool [N], is false."""
        ...

    def flush(self) -> None:
        """Write everything to the disk."""
        ...


class PlannedImages:
    """Gray images in place of the images of a store that is not built."""

    def __init__(self, count: int, side: int, store_format: StoreFormat) -> None:
        self.shape: tuple[int, ...] = (count, side, side, 3)
        self.num_bytes = planned_bytes(store_format, count, side)

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Gray images: uint8 [len(indices), S, S, 3]."""
        return np.full((len(indices), *self.shape[1:]), 128, np.uint8)


def store_files(store_format: StoreFormat) -> tuple[str, ...]:
    """All that a finished store holds; the last one is written last."""
    return (*(JPEG_FILES if store_format == "jpeg" else PIXEL_FILES), *STORE_FILES)


def planned_bytes(store_format: StoreFormat, count: int, side: int) -> int:
    """Bytes that `count` images take on the disk; an estimate for JPEGs."""
    return estimated_bytes(count, side) if store_format == "jpeg" else count * side**2 * 3


def store_fingerprint(
    fingerprint: str, store_format: StoreFormat, decoders: Sequence[str] = ()
) -> str:
    """The fingerprint of a source's store; it differs where the stored pixels may differ.

    Args:
        fingerprint: fingerprint of the source.
        store_format: format of the store.
        decoders: the optional formats that are read now, if an earlier store lacked one of them.
    """
    words = (fingerprint, *([JPEG_IDENTITY] if store_format == "jpeg" else []), *decoders)
    if len(words) == 1:
        return fingerprint
    return hashlib.blake2b(" ".join(words).encode(), digest_size=8).hexdigest()


def open_reader(folder: Path, store_format: StoreFormat, side: int) -> ImageReader:
    """The images of a finished store.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is damaged.
    """
    return JpegReader(folder, side) if store_format == "jpeg" else PixelReader(folder)


def open_writer(folder: Path, store_format: StoreFormat, count: int, side: int) -> ImageWriter:
    """Open the images of a partial store as the last run left them, or new ones.

    Raises:
        OSError: there is no space for them.
    """
    if store_format == "jpeg":
        return JpegWriter(folder, count, side)
    return PixelWriter(folder, count, side)
