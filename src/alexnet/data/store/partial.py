"""A store that is being built: its images, their moments, and the status of each.

A killed process leaves it as it is. After a power cut a part of it may not have reached the disk;
so each image has a checksum, and an image that does not match it is decoded again.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.config.preprocessing import StoreFormat
from alexnet.data.images.open import lacked_decoder
from alexnet.data.store.formats import ImageWriter, open_writer
from alexnet.io.arrays import open_or_allocate

PENDING, STORED, REJECTED = 0, 1, 2
"""Values of `status`."""
REJECTED_LOG = "rejected.jsonl"
"""File with the index and reason of every rejected image, one per line; some lines are empty."""


@dataclass(frozen=True)
class Partial:
    """The files of a store that is being built."""

    folder: Path
    writer: ImageWriter
    color_moments: np.ndarray
    status: np.ndarray
    """uint8 [N]: PENDING, STORED or REJECTED."""
    checksums: np.ndarray
    """uint32 [N], of stored images: after a power cut one may be marked as stored and not be."""

    def checksum(self, index: int, content: bytes = b"") -> int:
        """The checksum of an image as it is now, or as `content` will be written."""
        return zlib.crc32(self.color_moments[index].data, self.writer.checksum(index, content))

    def flush(self) -> None:
        """Write the images and their moments to the disk."""
        self.writer.flush()
        self.color_moments.flush()  # type: ignore[attr-defined]


def open_partial(folder: Path, store_format: StoreFormat, count: int, side: int) -> Partial:
    """Open the files as the last run left them, or new ones.

    An image that is marked as done becomes pending again where it is damaged, its reason is lost,
    or the decoder that it lacked is here now.

    Raises:
        OSError: there is no space for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "color_moments": ((count, 9), np.float64),
        "status": ((count,), np.uint8),
        "checksums": ((count,), np.uint32),
    }
    writer = open_writer(folder, store_format, count, side)
    arrays = {
        name: open_or_allocate(folder / f"{name}.npy", *shape) for name, shape in shapes.items()
    }
    partial = Partial(folder, writer, **arrays)
    _verify(partial)
    writer.forget_after(partial.status == STORED)
    return partial


def _verify(partial: Partial) -> None:
    for index in np.flatnonzero(partial.status == STORED):
        if partial.checksum(int(index)) != partial.checksums[index]:
            partial.status[index] = PENDING
    reasons = read_reasons(partial)
    for index in np.flatnonzero(partial.status == REJECTED):
        reason = reasons.get(int(index))
        if reason is None or lacked_decoder(reason):
            partial.status[index] = PENDING


def reason_line(index: int, reason: str) -> str:
    """A line of REJECTED_LOG."""
    return json.dumps({"index": index, "reason": reason}) + "\n"


def read_reasons(partial: Partial) -> dict[int, str]:
    """Why images were rejected, by index."""
    path = partial.folder / REJECTED_LOG
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    return dict(_parse_reason(line) for line in lines)


def _parse_reason(line: str) -> tuple[int, str]:
    """Index and reason of a line of the log; -1 for a line that a kill has cut short."""
    try:
        entry = json.loads(line)
        return entry["index"], entry["reason"]
    except (ValueError, TypeError, KeyError):
        return -1, ""
