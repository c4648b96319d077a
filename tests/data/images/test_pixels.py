"""The pixels of an image: the same with and without a copy."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from PIL import Image

from alexnet.data.images.pixels import pixels_of, shares_pixels

SIZES = [(1, 1), (7, 5), (689, 500), (2100, 2000)]
"""The last one has more bytes than a block of Pillow."""
SHARES = pytest.mark.skipif(not shares_pixels(), reason="this Pillow does not share pixels")


def random_image(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pixels_are_those_of_a_copy(size: tuple[int, int]) -> None:
    image = random_image(size)
    assert pixels_of(image).tobytes() == image.tobytes("raw", "RGBX")


@SHARES
def test_a_small_image_is_not_copied() -> None:
    """They are read only, and change with the image."""
    image = random_image((30, 20))
    pixels = pixels_of(image)
    image.putpixel((0, 0), (1, 2, 3))
    assert pixels[:3].tolist() == [1, 2, 3]
    assert not pixels.flags.writeable


def test_an_older_pillow_copies_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 11.2 on it has the method, which crashes for some images until 13."""
    image = random_image((30, 20))
    expected = pixels_of(image).tobytes()
    monkeypatch.setattr("PIL.__version__", "12.3.0")
    copied = pixels_of(image)
    image.putpixel((0, 0), (1, 2, 3))
    assert copied.tobytes() == expected


def blocks_in_use() -> int:
    """Of Pillow's memory."""
    stats = Image.core.get_stats()
    return int(stats["allocated_blocks"] - stats["freed_blocks"] - stats["blocks_cached"])


@SHARES
def test_what_is_shared_is_released() -> None:
    before = blocks_in_use()
    for _ in range(20):
        pixels_of(Image.new("RGB", (689, 500)))
    gc.collect()
    assert blocks_in_use() == before
