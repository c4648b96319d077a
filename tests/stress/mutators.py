"""Mutators: ways to damage a file, or to falsify its headers, by random numbers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np

Rng = np.random.Generator
Mutator = Callable[[bytes, bytes, Rng], bytes]
"""From a file, another valid file to take parts from, and random numbers, to a damaged file."""

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
HEAD_BYTES = 600
"""Where headers are, in which changes do the most damage."""


def flip_bits(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Flip one to twenty bits anywhere."""
    damaged = bytearray(content)
    for place in rng.integers(0, len(content), rng.integers(1, 21)):
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def flip_head(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Flip one to six bits near the beginning."""
    damaged = bytearray(content)
    for place in rng.integers(0, min(len(content), HEAD_BYTES), rng.integers(1, 7)):
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def truncate(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Cut off the end; in half of the cases less than 20 bytes."""
    lost = rng.integers(1, 20) if rng.random() < 0.5 else rng.integers(1, len(content) + 1)
    return content[: -min(int(lost), len(content))]


def overwrite(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Replace some bytes by random ones, or by zeros as in a bad sector."""
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 200))
    filling = rng.bytes(length) if rng.random() < 0.5 else bytes(length)
    return (content[:start] + filling + content[start + length :])[: len(content)]


def insert(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Insert random bytes."""
    start = int(rng.integers(len(content) + 1))
    return content[:start] + rng.bytes(int(rng.integers(1, 60))) + content[start:]


def delete(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Delete bytes in the middle."""
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 60))
    return content[:start] + content[start + length :]


def repeat(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Repeat a part several times."""
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 400))
    part = content[start : start + length] * int(rng.integers(1, 30))
    return content[:start] + part + content[start:]


def splice(content: bytes, other: bytes, rng: Rng) -> bytes:
    """The beginning of this file and the end of another."""
    return content[: int(rng.integers(len(content)))] + other[int(rng.integers(len(other))) :]


def swap_heads(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Take the first bytes from another file."""
    length = int(rng.integers(1, 64))
    return other[:length] + content[length:]


def change_integers(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Change integers of 2, 4 or 8 bytes near the beginning to extreme values, or by at most 3."""
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        size = int(rng.choice([2, 4, 8]))
        if len(damaged) <= size:
            continue
        order = "<" if rng.random() < 0.5 else ">"
        code, place = (
            order + {2: "H", 4: "I", 8: "Q"}[size],
            int(rng.integers(min(len(damaged) - size, HEAD_BYTES))),
        )
        (was,) = struct.unpack_from(code, damaged, place)
        drawn = int(rng.choice(EXTREMES)) if rng.random() < 0.7 else was + int(rng.integers(-3, 4))
        struct.pack_into(code, damaged, place, drawn % (1 << 8 * size))
    return bytes(damaged)


GENERAL: tuple[Mutator, ...] = (
    flip_bits, flip_head, truncate, overwrite, insert, delete, repeat, splice, swap_heads,
    change_integers,
)  # fmt: skip


def png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Type and data of the chunks of a valid PNG."""
    chunks, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_file(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A PNG of chunks, each with the right checksum."""
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def edit_png(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Drop, double, move or change a chunk; all checksums are right."""
    chunks = png_chunks(content)
    place, action = int(rng.integers(len(chunks))), int(rng.integers(6))
    kind, data = chunks[place]
    if action == 0:
        del chunks[place]
    elif action == 1:
        chunks.insert(place, chunks[place])
    elif action == 2:
        chunks.insert(int(rng.integers(len(chunks))), chunks.pop(place))
    elif action == 3 and data:
        chunks[place] = (kind, GENERAL[int(rng.integers(len(GENERAL)))](data, data, rng))
    elif action == 4:
        chunks[0] = (b"IHDR", _changed_ihdr(chunks[0][1], rng))
    else:
        chunks[place] = _changed_rows(chunks, place, rng)
    return png_file(chunks)


def _changed_ihdr(data: bytes, rng: Rng) -> bytes:
    """Another size, depth, colour type or interlacing."""
    fields = list(struct.unpack(">IIBBBBB", data))
    place = int(rng.integers(7))
    sizes = (0, 1, fields[0] * 2, fields[1] // 2, 40_000, 2**31 - 1, 2**32 - 1)
    fields[place] = int(rng.choice(sizes)) if place < 2 else int(rng.integers(0, 18))
    return struct.pack(">IIBBBBB", *fields)


def _changed_rows(chunks: list[tuple[bytes, bytes]], place: int, rng: Rng) -> tuple[bytes, bytes]:
    """The image data compressed again, with fewer rows, more rows, or an unknown filter."""
    kind, data = chunks[place]
    if kind != b"IDAT":
        return kind, data
    try:
        rows = zlib.decompress(data)
    except zlib.error:
        return kind, data
    changed = (rows[: int(rng.integers(len(rows) + 1))], rows * 2, rng.bytes(1) + rows[1:])
    return kind, zlib.compress(changed[int(rng.integers(3))])


def jpeg_segments(content: bytes) -> list[bytes]:
    """The segments of a valid JPEG, each from its marker to the next."""
    places, at = [0], 2
    while at < len(content) - 1:
        if content[at] == 0xFF and content[at + 1] not in (0x00, 0xFF, *range(0xD0, 0xD8)):
            places.append(at)
            is_long = content[at + 1] not in (0xD8, 0xD9)
            at += 2 + (struct.unpack_from(">H", content, at + 2)[0] if is_long else 0)
        else:
            at += 1
    return [content[a:b] for a, b in zip(places, [*places[1:], len(content)], strict=True)]


def edit_jpeg(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Drop, multiply, move or change a segment, or falsify the size in the header."""
    segments = jpeg_segments(content)
    place, action = int(rng.integers(len(segments))), int(rng.integers(6))
    if action == 0:
        del segments[place]
    elif action == 1:
        segments[place] = segments[place] * int(rng.choice([2, 3, 200]))
    elif action == 2:
        segments.insert(int(rng.integers(len(segments))), segments.pop(place))
    elif action == 3:
        segments[place] = GENERAL[int(rng.integers(len(GENERAL)))](segments[place], content, rng)
    elif action == 4:
        segments = [_changed_frame(segment, rng) for segment in segments]
    else:
        segments[place] = segments[place][: int(rng.integers(len(segments[place]) + 1))]
    return b"".join(segments)


def _changed_frame(segment: bytes, rng: Rng) -> bytes:
    """Another height, width or number of components, if the segment is a frame header."""
    if len(segment) < 10 or segment[1] not in (0xC0, 0xC1, 0xC2):
        return segment
    height, width, parts = struct.unpack_from(">HHB", segment, 5)
    lies = (0, 1, height * 2, width // 2, 20_000, 65_535)
    drawn = [height, width, parts]
    place = int(rng.integers(3))
    drawn[place] = int(rng.choice(lies)) if place < 2 else int(rng.integers(0, 6))
    return segment[:5] + struct.pack(">HHB", *drawn) + segment[10:]


def edit_tiff(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Give one to three entries of the first directory another tag, type, count or value."""
    damaged, order = bytearray(content), "<" if content[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", damaged, 4)
    if at + 2 > len(damaged):
        return content
    (count,) = struct.unpack_from(order + "H", damaged, at)
    for _ in range(int(rng.integers(1, 4))):
        entry = at + 2 + 12 * int(rng.integers(max(1, count)))
        if entry + 12 > len(damaged):
            continue
        field = int(rng.integers(4))
        if field < 2:
            struct.pack_into(
                order + "H",
                damaged,
                entry + 2 * field,
                int(rng.integers(0, 20)) + 256 * (not field),
            )
        else:
            drawn = int(rng.choice(EXTREMES)) if rng.random() < 0.5 else int(rng.integers(0, 300))
            struct.pack_into(order + "I", damaged, entry + 4 * (field - 1), drawn)
    return bytes(damaged)
