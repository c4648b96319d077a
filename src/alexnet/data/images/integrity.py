"""Damage to image files that Pillow ignores, and JPEGs with far too many scans.

Pillow fills the rest of an image with grey (JPEG) or black (PNG) where the data ends before the
image does but the file has its end marker. Only images whose last corner has that very colour are
checked further, so that the check costs the other images nothing.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from alexnet.data.images.fraction import decode_at_a_fraction
from alexnet.data.images.rejection import pillow_errors
from alexnet.errors import DataError

MAX_SCANS = 100
"""Largest number of scans in a JPEG. Progressive ones have about 10; each scan costs as much as a
small image, whatever its length, so decoding 90 KB could take minutes."""
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""The end of a JPEG's entropy-coded data: any marker but a restart marker."""
START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN = 0xD8, 0xD9, 0xDA
ARITHMETIC_FRAMES = (0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
MORE_DATA = (b"\x55" * 64, b"\xaa" * 64, b"\xfe" * 64)
"""Bytes appended in turn to a JPEG that may be cut in its last block; some may change nothing."""
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""The passes of an interlaced PNG: first column, first row, column step and row step."""
SAMPLES_PER_PIXEL = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel of a PNG, by its colour type."""
CHECKED_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
"""Chunks of a PNG that its pixels depend on."""
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class JpegMarkers:
    """What the markers of a JPEG say."""

    num_scans: int
    is_huffman: bool
    """Huffman-coded, as nearly all are; arithmetic coding may omit zeros at the end of its data."""
    end: int
    """Offset of the end of the last scan, where the end marker stands if there is one."""


def read_jpeg_markers(content: bytes) -> JpegMarkers:
    """Read the markers of a JPEG up to its end marker, skipping the content of the segments.

    Raises:
        DataError: more than MAX_SCANS scans.
    """
    num_scans, is_huffman, at = 0, True, 2
    while found := MARKER.search(content, at):
        at, kind = found.start(), found[0][1]
        if kind == END_OF_IMAGE or at + 4 > len(content):
            return JpegMarkers(num_scans, is_huffman, at)
        num_scans += kind == START_OF_SCAN
        if num_scans > MAX_SCANS:
            raise DataError(f"more than {MAX_SCANS} scans, which no real image has")
        is_huffman &= kind not in ARITHMETIC_FRAMES
        has_segment = kind not in (START_OF_IMAGE, 0x01)
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big") if has_segment else 2
    return JpegMarkers(num_scans, is_huffman, len(content))


def check_jpeg_end(
    image: Image.Image,
    content: bytes,
    markers: JpegMarkers,
    side: int = 0,
    *,
    is_suspect: bool = False,
) -> None:
    """Reject a decoded JPEG whose scan ends before the image does.

    libjpeg then leaves the rest grey. The file is decoded again with more bytes before the end
    marker: a whole image does not change, and in a truncated one they are decoded as image data.
    Unless the file `is_suspect`, this is done only where its last corner is gray. `side`: with
    which the image was decoded (`decode_at_a_fraction`).

    Raises:
        DataError: the image changed.
    """
    corner = image.getpixel((image.width - 1, image.height - 1))
    values = corner if isinstance(corner, tuple) else (corner,)
    is_gray = all(value in (127, 128) for value in values)
    if not markers.is_huffman or not (is_gray or is_suspect):
        return
    tail = content[max(0, markers.end - 600) : markers.end].replace(b"\xff", b"")
    for extra in (tail, *(MORE_DATA if is_suspect else ())):
        extended = io.BytesIO(content[: markers.end] + extra + content[markers.end :])
        with pillow_errors(), Image.open(extended, formats=("JPEG",)) as other:
            decode_at_a_fraction(other, side)
            if other.tobytes() != image.tobytes():
                raise DataError("its data ends before the image does")


def check_png_checksums(content: bytes) -> None:
    """Reject a PNG that ends within a chunk its pixels depend on, or whose checksum is wrong.

    Pillow does not verify the checksums of the image data, and may not reach the last one.

    Raises:
        DataError: names the chunk.
    """
    for kind, start, end in png_chunks(content):
        if kind not in CHECKED_CHUNKS:
            continue
        if end + 4 > len(content):
            raise DataError(f"the file ends within its {kind.decode()}")
        expected = int.from_bytes(content[end : end + 4], "big")
        if zlib.crc32(memoryview(content)[start - 4 : end]) != expected:
            raise DataError(f"the checksum of its {kind.decode()} is wrong")


def check_png_end(image: Image.Image, content: bytes) -> None:
    """Reject a decoded PNG that has fewer rows than its header says.

    Raises:
        DataError: the decompressed data is shorter than the image.
    """
    width, height = image.size
    last = image.crop((0, max(0, height - 2), width, height))  # of an interlaced one, two passes
    if all(last.crop((0, y, width, y + 1)).getbbox() for y in range(last.height)):
        return
    depth, color_type, is_interlaced = content[24], content[25], bool(content[28])
    bits_per_pixel = depth * SAMPLES_PER_PIXEL.get(color_type, 4)
    needed = png_data_bytes(width, height, bits_per_pixel, is_interlaced)
    found = 0
    for rows in _decompress(content):
        found += len(rows)
        if found >= needed:
            return
    raise DataError(f"its data ends before the image does ({found:,} of {needed:,} bytes)")


def png_data_bytes(width: int, height: int, bits_per_pixel: int, is_interlaced: bool) -> int:
    """Bytes of the decompressed rows, each of which begins with one byte for its filter."""
    passes = ADAM7 if is_interlaced else ((0, 0, 1, 1),)
    sizes = [
        (-(-(width - x) // step_x), -(-(height - y) // step_y)) for x, y, step_x, step_y in passes
    ]
    return sum(h * (1 + -(-w * bits_per_pixel // 8)) for w, h in sizes if w > 0 and h > 0)


def png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of every chunk of a PNG, up to IEND or the end of the file."""
    at, kind = 8, b""
    while kind != b"IEND" and at + 12 <= len(content):
        kind, start = content[at + 4 : at + 8], at + 8
        at = start + int.from_bytes(content[at : at + 4], "big") + 4
        yield kind, start, at - 4


def _decompress(content: bytes) -> Iterator[bytes]:
    """Decompress the rows of a PNG that has been decoded, a piece at a time."""
    stream = zlib.decompressobj()
    for kind, start, end in png_chunks(content):
        packed: bytes = content[start:end] if kind == b"IDAT" else b""
        while packed and not stream.eof:
            yield stream.decompress(packed, CHUNK_BYTES)
            packed = stream.unconsumed_tail
