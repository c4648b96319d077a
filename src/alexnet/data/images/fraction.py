"""JPEGs far larger than they are needed are decoded at a fraction of their size.

libjpeg makes 4, 2 or 1 rows of pixels from a block of 8, which is several times as fast.
"""

from __future__ import annotations

from PIL import Image

BOX = "\0box"
"""Key of `Image.info` of a JPEG that is decoded at a fraction: left, upper, right and lower edge of
its content. The last column and row of pixels may lie partly outside. Pillow puts a PNG's texts
there too, whose keywords end before a NUL."""
LEAST_SHRINKING = 2
"""A JPEG that is decoded at a fraction is still that many times as large as needed. From photos of
12 megapixels to 256 pixels, a value then differs by up to 2 of 255 from that of the whole image,
.24 in the mean (docs/performance.md)."""


def decode_at_a_fraction(image: Image.Image, side: int) -> None:
    """Have a JPEG decoded so small that each side still has LEAST_SHRINKING * `side` pixels.

    Args:
        image: opened and not decoded yet; nothing is done if it has another format.
        side: pixels of the shorter side to which it will be shrunk; 0: nothing is done.
    """
    least = LEAST_SHRINKING * side
    if side and image.format in ("JPEG", "MPO") and min(image.size) >= 2 * least:
        drafted = image.draft(None, (least, least))
        if drafted:
            image.info[BOX] = drafted[1]
