"""One picture file as uint8 RGB of a given size: rotation, colour modes and resizing."""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image, ImageOps

from alexnet.errors import DataError
from alexnet.preprocessing import Resize

MAX_PIXELS = 178_956_970
"""Larger pictures are refused: Pillow's own limit against decompression bombs."""


def decode(image: Image.Image, resize: Resize, side: int) -> np.ndarray:
    """The picture as uint8 [side, side, 3].

    EXIF rotation is applied; transparent parts become white; of an animation the first frame is
    taken. `shorter_side` cuts the largest central square, `squash` takes everything; both resample
    with Lanczos' filter, smoothed when shrinking.

    Raises:
        DataError: the picture is too large, or its numbers are not colours (floating point).
        OSError: the file is damaged.

    Source: Paper, section 2 (shorter side to 256, central 256 x 256); Tutorial's loader (squash).
    """
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{image.width}x{image.height} pixels are more than {MAX_PIXELS:,}")
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # broken EXIF and palette remarks; what cannot be decoded still raises
        picture = to_rgb(ImageOps.exif_transpose(image))
    if picture.size == (side, side):
        return np.asarray(picture)
    if resize == "squash":
        return np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS))
    return np.asarray(ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as RGB: 16-bit by its high byte, alpha over white, the rest by Pillow.

    Raises:
        DataError: a floating-point picture, which has no colour scale.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise DataError("a floating-point picture has no colour scale")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        return Image.fromarray((wide.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def pixel_moments(pixels: np.ndarray) -> np.ndarray:
    """Mean of r, g, b, then of rr, rg, rb, gg, gb, bb over one picture: float64 [9]."""
    flat = pixels.reshape(-1, 3).astype(np.float64)
    second = flat.T @ flat / len(flat)
    return np.concatenate([flat.mean(0), second[np.triu_indices(3)]])
