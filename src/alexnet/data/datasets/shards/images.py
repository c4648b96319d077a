"""Images inside tar shards, opened by index without unpacking."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image

from alexnet.data.data_files import DataFile, signatures
from alexnet.data.images.open import read_image
from alexnet.errors import DataError
from alexnet.io.limits import MAX_IMAGE_BYTES


@dataclass(frozen=True, eq=False)
class ShardImages:
    """The images of some shards."""

    files: Sequence[DataFile]
    shards: np.ndarray
    """int64 [N]: the file of every image, an index into `files`."""
    spans: np.ndarray
    """int64 [N, 2]: the offset of every image in its file, and its size in bytes."""

    @contextmanager
    def open(self, index: int, side: int = 0) -> Iterator[Image.Image]:
        """Read and decode one image.

        Raises:
            DataError: it is no image, too large, or the shard has been cut short.
            OSError: the shard cannot be read.
        """
        with read_image(io.BytesIO(self.content(index)), side) as image:
            yield image

    def content(self, index: int) -> bytes:
        """The undecoded bytes of one image.

        Raises:
            DataError: the image is too large, or the shard has been cut short.
            OSError: the shard cannot be read.
        """
        start, size = self.spans[index].tolist()
        if size > MAX_IMAGE_BYTES:
            raise DataError(f"the file has more than {MAX_IMAGE_BYTES:,} bytes")
        content: bytes = self.files[self.shards[index]].read(start, size)
        if len(content) != size:
            raise DataError("its shard has been cut short")
        return content

    def signatures(self) -> Iterator[bytes]:
        """The signature of every image: that of its shard, and its offset and size there."""
        of_file = signatures(self.files)
        for shard, (start, size) in zip(self.shards.tolist(), self.spans.tolist(), strict=True):
            yield of_file[shard] + b" %d %d" % (start, size)
