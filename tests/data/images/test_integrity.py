"""Damage that Pillow does not report: the markers of a JPEG, the rows of a PNG."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from alexnet.data.images.integrity import png_data_bytes, read_jpeg_markers
from support.hostile_images import COLORS, encode


def test_the_markers_of_a_jpeg() -> None:
    """The markers of a thumbnail inside a segment do not count."""
    content = encode(COLORS, "JPEG")
    thumbnail = b"Exif\0\0" + content
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    markers = read_jpeg_markers(content[:2] + segment + content[2:] + content)
    assert markers.num_scans == 1
    assert markers.end == len(segment) + len(content) - 2
    assert read_jpeg_markers(encode(COLORS, "JPEG", progressive=True)).num_scans > 5


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (3, 5), (9, 17), (100, 2)], ids=str)
def test_bytes_of_an_interlaced_png(size: tuple[int, int]) -> None:
    """By hand: every pixel belongs to the first pass whose grid has it."""
    width, height = size
    owner = np.full((height, width), 7)
    grids = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    for number, (x, y, step_x, step_y) in reversed(list(enumerate(grids))):
        owner[y::step_y, x::step_x] = number
    total = 0
    for number in range(8):
        rows = [row[row == number].size for row in owner]
        total += sum(1 + -(-3 * count // 8) for count in rows if count)
    assert png_data_bytes(width, height, 3, True) == total
    assert png_data_bytes(width, height, 3, False) == height * (1 + -(-3 * width // 8))
