"""The images of a store as pixels: `images.npy`, uint8 [N, S, S, 3]."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.errors import DataError
from alexnet.io.arrays import open_or_allocate

PIXEL_FILES = ("images.npy",)


class PixelReader:
    """Reads images from the array of a finished store.

    It holds no memory map, which would be pickled with all images for a worker of a loader.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "images.npy"
        array = np.load(self._path, mmap_mode="r")
        self.shape: tuple[int, ...] = array.shape
        self.num_bytes = int(array.nbytes)
        self._offset = int(array.offset)
        if array.dtype != np.uint8:
            raise ValueError(f"its images are {array.dtype}, not uint8")

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images in the order of `indices`: uint8 [len(indices), S, S, 3].

        Each image is one read. Indexing the memory map instead would cause page faults, each of
        which may read megabytes ahead, and in random order most of that is never used.

        Raises:
            DataError: the file is shorter than it was when it was opened.
        """
        images = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        with self._path.open("rb", buffering=0) as file:
            for image, index in zip(images, indices, strict=True):
                file.seek(self._offset + int(index) * image.nbytes)
                if file.readinto(image.data) != image.nbytes:
                    raise DataError(
                        f"{self._path.parent} has been cut short; remove it and prepare it again"
                    )
        return images


class PixelWriter:
    """Writes images into the array of a store that is being built, from any thread."""

    def __init__(self, folder: Path, count: int, side: int) -> None:
        """Open the array as the last run left it, or allocate it.

        Raises:
            OSError: there is no space for it.
        """
        self._array = open_or_allocate(folder / "images.npy", (count, side, side, 3), np.uint8)

    def encode(self, index: int, pixels: np.ndarray) -> tuple[np.ndarray, bytes]:
        """Write an image; return its pixels as they will be read, and nothing for `append`."""
        self._array[index] = pixels
        return pixels, b""

    def append(self, index: int, content: bytes) -> None:
        """Do nothing: `encode` has written the image."""

    def checksum(self, index: int, content: bytes = b"") -> int:
        """The checksum of an image as it is now."""
        return zlib.crc32(self._array[index].data)

    def forget_after(self, is_stored: np.ndarray) -> None:
        """Do nothing: every image has its place."""

    def flush(self) -> None:
        """Write the array to the disk."""
        self._array.flush()  # type: ignore[attr-defined]
