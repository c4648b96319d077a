"""The images of a store as JPEGs, one after the other: `images.jpegs`, and `spans.npy`.

They take a tenth of the space of pixels, which pays where that no longer fits the disk or, beside
the training, the memory. `docs/performance.md` has the speed of both.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet.data.images.rejection import pillow_errors
from alexnet.errors import DataError
from alexnet.io.arrays import open_or_allocate, require_space
from alexnet.ops.cores import num_cores

JPEG_FILES = ("images.jpegs", "spans.npy")
QUALITY = 85
"""Quality of the JPEGs, which have no chroma subsampling. They are as large as with quality 90 and
subsampling, and more exact: on 150 of Oxford's flowers of 256 x 256, 19.9 and 19.8 KB, a root mean
square error of 2.96 and 3.02 (of 255), at most 34 and 56. Besides, decoders differ in how they
upsample, and nothing is upsampled here."""
JPEG_IDENTITY = f"jpeg {QUALITY} 4:4:4"
"""Part of the fingerprint of a store."""
HEADER_BYTES, BYTES_PER_PIXEL = 640, 0.33
"""Estimates of a JPEG's size: all 1,360 flowers of 256 x 256 have 22.0 KB each."""


def estimated_bytes(count: int, side: int) -> int:
    """About how many bytes `count` images take."""
    return round(count * (HEADER_BYTES + BYTES_PER_PIXEL * side**2))


class JpegReader:
    """Decodes images of a finished store, on all CPU cores."""

    def __init__(self, folder: Path, side: int) -> None:
        self._path = folder / "images.jpegs"
        self._spans = np.load(folder / "spans.npy")
        self.num_bytes = self._path.stat().st_size
        if self._spans.shape[1:] != (2,) or self._spans.dtype != np.int64:
            raise ValueError(f"spans.npy has {self._spans.shape} values {self._spans.dtype}")
        if len(self._spans) and not 0 <= self._spans.min() <= self._ends.max() <= self.num_bytes:
            raise ValueError("images.jpegs has been cut short")
        self.shape: tuple[int, ...] = (len(self._spans), side, side, 3)

    @property
    def _ends(self) -> np.ndarray:
        ends: np.ndarray = self._spans.sum(1)
        return ends

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images in the order of `indices`: uint8 [len(indices), S, S, 3]; black without a JPEG.

        Raises:
            DataError: a JPEG is damaged.
        """
        places = np.asarray(indices, dtype=np.int64)
        images = np.zeros((len(places), *self.shape[1:]), dtype=np.uint8)
        threads = min(num_cores(), len(places))
        if threads <= 1:
            self._read_part(images, places)
            return images
        parts = [slice(first, None, threads) for first in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: self._read_part(images[part], places[part]), parts))
        return images

    def _read_part(self, images: np.ndarray, indices: np.ndarray) -> None:
        with self._path.open("rb", buffering=0) as file:
            for image, index in zip(images, indices, strict=True):
                start, length = self._spans[index].tolist()
                if length:
                    file.seek(start)
                    image[:] = self._decode(file.read(length))

    def _decode(self, content: bytes) -> np.ndarray:
        try:
            with pillow_errors():
                pixels = decode_jpeg(content)
        except (DataError, OSError, MemoryError) as error:
            raise self._damaged(str(error)) from error
        if pixels.shape != self.shape[1:]:
            raise self._damaged(f"an image of {pixels.shape}")
        return pixels

    def _damaged(self, what: str) -> DataError:
        folder = self._path.parent
        return DataError(f"{folder} is damaged ({what}); remove it and prepare it again")


class JpegWriter:
    """Appends images to a store that is being built; `encode` in any thread, the rest in one."""

    def __init__(self, folder: Path, count: int, side: int) -> None:
        """Open the files as the last run left them, or new ones.

        Raises:
            OSError: there is no space for what is missing, as far as can be known before.
        """
        path = folder / "images.jpegs"
        path.touch()
        require_space(folder, estimated_bytes(count, side) - path.stat().st_size)
        self._path, self._end = path, path.stat().st_size
        self._spans = open_or_allocate(folder / "spans.npy", (count, 2), np.int64)

    def encode(self, index: int, pixels: np.ndarray) -> tuple[np.ndarray, bytes]:
        """Encode an image; return its pixels as they will be read, and the JPEG for `append`."""
        content = encode_jpeg(pixels)
        return decode_jpeg(content), content

    def append(self, index: int, content: bytes) -> None:
        """Write a JPEG behind the others."""
        with self._path.open("r+b") as file:
            file.seek(self._end)
            file.write(content)
        self._spans[index] = self._end, len(content)
        self._end += len(content)

    def checksum(self, index: int, content: bytes = b"") -> int:
        """The checksum of a JPEG: of `content`, or of what is written for the image."""
        start, length = self._spans[index].tolist()
        if not content and 0 <= start <= start + length <= self._end:
            with self._path.open("rb") as file:
                file.seek(start)
                content = file.read(length)
        return zlib.crc32(content)

    def forget_after(self, is_stored: np.ndarray) -> None:
        """Cut off what a killed process wrote behind the last image that is stored: bool [N]."""
        self._spans[~is_stored] = 0
        self._end = int(self._spans.sum(1).max(initial=0))
        os.truncate(self._path, self._end)

    def flush(self) -> None:
        """Write the spans to the disk; `append` has written the JPEGs."""
        self._spans.flush()  # type: ignore[attr-defined]


def encode_jpeg(pixels: np.ndarray) -> bytes:
    """An image uint8 [S, S, 3] as a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, subsampling="4:4:4")
    return buffer.getvalue()


def decode_jpeg(content: bytes) -> np.ndarray:
    """The pixels of a JPEG: uint8 [H, W, 3] for one of `encode_jpeg`."""
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        return np.asarray(image)
