"""Resizing by Pillow's Lanczos filter: by our kernel where there is one, with the same bits."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from alexnet.data.images.pixels import pixels_of
from alexnet.ops.resize import MIN_SIDE, Box, load_resizer

MAX_KERNEL_PIXELS = 1 << 24
"""Largest image that the kernel resizes; it may need a copy of it, 4 bytes for a pixel."""


def resize_to_square(rgb: Image.Image, side: int, box: Box) -> np.ndarray:
    """The part of an RGB image in a box, as uint8 [side, side, 3].

    The filter is antialiased when shrinking, and sees the pixels beside the box.
    """
    resizer, (width, height) = load_resizer(), rgb.size
    is_large = width * height > MAX_KERNEL_PIXELS
    if resizer is None or rgb.mode != "RGB" or is_large or min(width, side) < MIN_SIDE:
        return np.asarray(rgb.resize((side, side), Image.Resampling.LANCZOS, box))
    is_tall = height > side and height - side > 2 * (width - side)
    columns_first = is_tall and pillow_resizes_tall_images_by_columns()
    return resizer.resize(pixels_of(rgb), rgb.size, side, box, columns_first=columns_first)


@cache
def pillow_resizes_tall_images_by_columns() -> bool:
    """Whether the installed Pillow begins with the columns where that is less work, as 13.0 does.

    It does so if the height exceeds the side by more than twice what the width does. The order
    matters, since numbers are rounded in between.
    """
    pixels = np.random.default_rng(0).integers(0, 2, (40, 10, 3), dtype=np.uint8) * 255
    image = Image.fromarray(pixels)
    lanczos = Image.Resampling.LANCZOS
    by_rows = image.resize((4, 40), lanczos).resize((4, 4), lanczos)
    return image.resize((4, 4), lanczos).tobytes() != by_rows.tobytes()
