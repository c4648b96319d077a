"""Files that Pillow refuses though every pixel is there: they are read, with a remark.

- a PNG with a text of more than 1 MB, which is dropped (the limit protects Pillow's memory)
- a JPEG without its end marker, if its scans are complete

And, without a remark, PNGs with texts that Pillow would misread.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from PIL.PngImagePlugin import MAX_TEXT_CHUNK

from alexnet.data.images.integrity import (
    ARITHMETIC_FRAMES,
    END_OF_IMAGE,
    MARKER,
    START_OF_SCAN,
    png_chunks,
    read_jpeg_markers,
)

TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
"""Chunks of a PNG that hold text, and its color profile, which is not used."""
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
RESTART_INTERVAL = 0xDD
NUM_COEFFICIENTS = 64
"""DCT coefficients of a block of 8 x 8 pixels."""
NOT_SENT = 99
"""Number of missing bits that stands for a coefficient of which no scan has sent any."""


def drop_long_texts(content: bytes) -> bytes:
    """A PNG without the chunks of text that are too long for Pillow."""
    return _drop_texts(content, _is_too_long)


def drop_misread_texts(content: bytes) -> bytes:
    """A PNG without the texts that Pillow could take for values of other chunks.

    Pillow keeps texts, by their keywords, in the dict where it looks up "interlace", "bbox" and
    "transparency".
    """
    return _drop_texts(content, _is_misread)


def _drop_texts(content: bytes, is_dropped: Callable[[bytes, bytes], bool]) -> bytes:
    """A PNG without the chunks of text for which `is_dropped(kind, content)` is true."""
    kept, at = [], 0
    for kind, start, end in png_chunks(content):
        if kind in TEXT_CHUNKS and is_dropped(kind, content[start:end]):
            kept.append(content[at : start - 8])
            at = end + 4
    return b"".join((*kept, content[at:])) if at else content


def _is_misread(kind: bytes, chunk: bytes) -> bool:
    """Whether a text has a keyword like Pillow's own; keywords of the standard are capitalized."""
    keyword = chunk.partition(b"\0")[0]
    return kind != b"iCCP" and keyword[:1].islower() and keyword != b"exif"  # may have rotation


def _is_too_long(kind: bytes, chunk: bytes) -> bool:
    """Whether a text is longer than Pillow reads, also one that is compressed."""
    if len(chunk) > MAX_TEXT_CHUNK:
        return True
    _, _, rest = chunk.partition(b"\0")
    if kind == b"iTXt":  # flag, method, language, translated keyword, text
        packed = rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else b""
    else:
        packed = b"" if kind == b"tEXt" else rest[1:]
    try:
        return len(zlib.decompressobj().decompress(packed, MAX_TEXT_CHUNK + 1)) > MAX_TEXT_CHUNK
    except zlib.error:
        return False


def add_end_marker(content: bytes) -> bytes:
    """The JPEG with an end marker, if only that is missing; else unchanged.

    Whether the data of the last scan is complete is left to `check_jpeg_end`.

    Raises:
        DataError: as `read_jpeg_markers`.
    """
    end = read_jpeg_markers(content).end
    if content[end : end + 2] == bytes((0xFF, END_OF_IMAGE)) or not _has_every_scan(content):
        return content
    return content[:end].removesuffix(b"\xff") + bytes((0xFF, END_OF_IMAGE))


def _has_every_scan(content: bytes) -> bool:
    """Whether the scans together have all bits of all coefficients of every component.

    A file with restart markers, after each of which data may be missing, is taken as incomplete; so
    is one with arithmetic coding.
    """
    missing: dict[int, list[int]] = {}
    for kind, segment in _jpeg_segments(content):
        if kind in ARITHMETIC_FRAMES or (kind == RESTART_INTERVAL and any(segment[:2])):
            return False
        if kind in START_OF_FRAME:
            missing = {component: [NOT_SENT] * NUM_COEFFICIENTS for component in segment[6::3]}
        if kind == START_OF_SCAN and segment:
            components = segment[1 : 1 + 2 * segment[0] : 2]
            parameters = segment[1 + 2 * segment[0] :]
            if len(parameters) < 3:  # the file ends within this header
                return False
            first, last, bits = parameters[:3]
            for component in components:
                missing.setdefault(component, [])[first : last + 1] = [bits & 15] * (
                    last + 1 - first
                )
    return bool(missing) and not any(any(bits) for bits in missing.values())


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of the segments of a JPEG, without the data of its scans."""
    at = 2
    while found := MARKER.search(content, at):
        at, kind = found.start(), found[0][1]
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        yield kind, content[at + 4 : at + 2 + size]
        at += 2 + size
