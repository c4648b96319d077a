"""Damage to picture files that Pillow passes over, and work that no honest picture asks for.

Pillow fills the rest of a picture with grey (JPEG) or black (PNG) where the data ends before the
picture does but the file has its end mark. Only pictures whose last corner has that very colour are
looked at again, so that the others cost nothing.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from alexnet.errors import DataError

MAX_SCANS = 100
"""Of a JPEG. Progressive ones have about 10; each scan costs as much as a small picture, whatever
its length, so 90 KB can ask for minutes."""
MARK = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends a JPEG's run of picture data: a marker that is no restart."""
START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN = 0xD8, 0xD9, 0xDA
ARITHMETIC = (0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""The passes of an interlaced PNG: first column, first row, and the steps from column to column and
row to row."""
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a PNG's pixel, by its colour type."""
DECISIVE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class JpegMarks:
    """What the markers of a JPEG tell."""

    num_scans: int
    is_huffman: bool
    """Coded as nearly all are; the other way may leave zeros at the end of its data out."""
    end: int
    """Of the last scan, where the end mark stands if there is one."""


def jpeg_marks(content: bytes) -> JpegMarks:
    """Walk along the markers of a JPEG to its end mark, past what the segments hold.

    Raises:
        DataError: more than MAX_SCANS scans.
    """
    num_scans, is_huffman, at = 0, True, 2
    while found := MARK.search(content, at):
        at, kind = found.start(), found[0][1]
        if kind == END_OF_IMAGE or at + 4 > len(content):
            return JpegMarks(num_scans, is_huffman, at)
        num_scans += kind == START_OF_SCAN
        if num_scans > MAX_SCANS:
            raise DataError(f"more than {MAX_SCANS} scans, which no honest picture has")
        is_huffman &= kind not in ARITHMETIC
        is_alone = kind in (START_OF_IMAGE, 0x01)
        at += 2 if is_alone else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return JpegMarks(num_scans, is_huffman, len(content))


def check_jpeg_end(image: Image.Image, content: bytes, marks: JpegMarks) -> None:
    """Refuse a decoded JPEG whose scan ends before the picture does.

    libjpeg then leaves the rest grey. Bytes put in before the end mark change nothing in a whole
    picture, and are taken for picture data in one that lacks some.

    Raises:
        DataError: the bytes showed.
    """
    corner = image.getpixel((image.width - 1, image.height - 1))
    values = corner if isinstance(corner, tuple) else (corner,)
    if not marks.is_huffman or any(value not in (127, 128) for value in values):
        return
    more = content[max(0, marks.end - 600) : marks.end].replace(b"\xff", b"")
    padded = io.BytesIO(content[: marks.end] + more + content[marks.end :])
    with Image.open(padded, formats=("JPEG",)) as other:
        if other.tobytes() != image.tobytes():
            raise DataError("its data ends before the picture does")


def check_png_sums(content: bytes) -> None:
    """Refuse a PNG that ends within a chunk that decides the picture, or whose checksum is wrong.

    Pillow leaves those of the picture data out, and may not reach the sum at the data's end.

    Raises:
        DataError: naming the chunk.
    """
    for kind, start, end in png_chunks(content):
        if kind not in DECISIVE:
            continue
        if end + 4 > len(content):
            raise DataError(f"the file ends within its {kind.decode()}")
        told = int.from_bytes(content[end : end + 4], "big")
        if zlib.crc32(memoryview(content)[start - 4 : end]) != told:
            raise DataError(f"the checksum of its {kind.decode()} is wrong")


def check_png_end(image: Image.Image, content: bytes) -> None:
    """Refuse a decoded PNG whose rows are fewer than its header says.

    Raises:
        DataError: the unpacked data is shorter than the picture.
    """
    width, height = image.size
    last = image.crop((0, max(0, height - 2), width, height))  # of an interlaced one, two passes
    if all(last.crop((0, y, width, y + 1)).getbbox() for y in range(last.height)):
        return
    depth, colour_type, is_interlaced = content[24], content[25], bool(content[28])
    needed = png_bytes(width, height, depth * SAMPLES.get(colour_type, 4), is_interlaced)
    there = 0
    for rows in _unpacked(content):
        there += len(rows)
        if there >= needed:
            return
    raise DataError(f"its data ends before the picture does ({there:,} of {needed:,} bytes)")


def png_bytes(width: int, height: int, pixel_bits: int, is_interlaced: bool) -> int:
    """Bytes of the unpacked rows, with the one before each row that names its filter."""
    passes = ADAM7 if is_interlaced else ((0, 0, 1, 1),)
    sizes = [
        (-(-(width - x) // step_x), -(-(height - y) // step_y)) for x, y, step_x, step_y in passes
    ]
    return sum(h * (1 + -(-w * pixel_bits // 8)) for w, h in sizes if w > 0 and h > 0)


def png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, beginning and end of every chunk of a PNG, up to IEND or the end of the file."""
    at, kind = 8, b""
    while kind != b"IEND" and at + 12 <= len(content):
        kind, start = content[at + 4 : at + 8], at + 8
        at = start + int.from_bytes(content[at : at + 4], "big") + 4
        yield kind, start, at - 4


def _unpacked(content: bytes) -> Iterator[bytes]:
    """Unpack the rows of a PNG that has been decoded, a piece at a time."""
    stream = zlib.decompressobj()
    for kind, start, end in png_chunks(content):
        packed: bytes = content[start:end] if kind == b"IDAT" else b""
        while packed and not stream.eof:
            yield stream.decompress(packed, PIECE_BYTES)
            packed = stream.unconsumed_tail
