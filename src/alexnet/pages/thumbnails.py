"""Small images inside a page, as JPEGs, within a number of bytes."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

QUALITY = 72


class ByteBudget:
    """A limit on the total bytes of images."""

    def __init__(self, size_bytes: int) -> None:
        self.left = size_bytes

    def take(self, url: str) -> bool:
        """Reserve the bytes of an image; return False if there are too few left."""
        fits = len(url) <= self.left
        self.left -= len(url) if fits else 0
        return fits


def jpeg(pixels: np.ndarray, side: int, quality: int = QUALITY) -> bytes:
    """Encode an image as a JPEG file.

    Args:
        pixels: uint8 [h, w, 3], or gray [h, w].
        side: the longest side in pixels; a smaller image keeps its size.
        quality: the quality of the JPEG, 1 to 95.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2)
    file = io.BytesIO()
    image.save(file, "jpeg", quality=quality, optimize=True)
    return file.getvalue()


def jpeg_url(pixels: np.ndarray, side: int, quality: int = QUALITY) -> str:
    """Encode an image as the `data:` URL of a JPEG; the arguments are those of `jpeg`."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(pixels, side, quality)).decode()}"
