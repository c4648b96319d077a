"""An image as uint8 RGB of a given size: rotation, colour modes and resizing."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image

from alexnet.config.preprocessing import Resize
from alexnet.data.images.concurrency import silence_warnings
from alexnet.data.images.fraction import BOX
from alexnet.data.images.open import FULL_SIZE, check_size, load
from alexnet.data.images.rejection import pillow_errors
from alexnet.data.images.resize import resize_to_square
from alexnet.errors import DataError
from alexnet.ops.resize import Box

EXIF_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes an image of each EXIF orientation upright; 1 is upright."""
TURNED = (5, 6, 7, 8)
"""The EXIF orientations that swap width and height."""
EXACT_PIXELS = 256
"""256 * 255 * 255 is below 2 ** 24, so float32 holds the sum of so many products exactly."""
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
"""Tags of a TIFF."""


def decode(image: Image.Image, resize: Resize, side: int) -> np.ndarray:
    """The image as uint8 [side, side, 3].

    EXIF rotation is applied, unless the EXIF is broken; transparent parts become white; only the
    first frame of an animation is used. `shortest_edge` crops the largest central square, `stretch`
    uses the whole image; both resample with the Lanczos filter, antialiased when shrinking.

    Raises:
        DataError: the image has no pixels or too many, or its values have no colour scale.
        OSError: the file is damaged.

    Source: Paper, section 2 (shorter side to 256, central 256 x 256); Tutorial's loader (stretch).
    """
    if BOX in image.info:
        return _fit_square_of_box(image, resize, side)
    return fit_square(upright_rgb(image), resize, side)


def fit_square(rgb: Image.Image, resize: Resize, side: int) -> np.ndarray:
    """An upright RGB image as uint8 [side, side, 3]; see `decode`."""
    if rgb.size == (side, side):
        return np.asarray(rgb)
    return resize_to_square(rgb, side, _resized_box((0, 0, *rgb.size), resize))


def _fit_square_of_box(image: Image.Image, resize: Resize, side: int) -> np.ndarray:
    """Do what `decode` does, for a JPEG decoded at a fraction, whose edges lie between pixels."""
    square = resize_to_square(to_rgb(image), side, _resized_box(image.info[BOX], resize))
    transpose = EXIF_TRANSPOSE.get(_orientation(image))
    if transpose is None:
        return square
    return np.asarray(Image.fromarray(square).transpose(transpose))


def _resized_box(box: Box, resize: Resize) -> Box:
    """The part of a box that is resized: all of it, or its largest central square."""
    left, upper, right, lower = box
    if resize == "stretch":
        return box
    width, height = right - left, lower - upper
    x, y = max(0, width - height) / 2, max(0, height - width) / 2
    return left + x, upper + y, right - x, lower - y


def upright_rgb(image: Image.Image) -> Image.Image:
    """The upright image in RGB: EXIF rotation applied, transparent parts white.

    Raises:
        DataError: the image has no pixels or too many, or its values have no colour scale.
        OSError: the file is damaged.
    """
    check_size(image.size)
    with silence_warnings:
        load(image)
        transpose = EXIF_TRANSPOSE.get(_orientation(image))
        rgb = to_rgb(image)
    return rgb if transpose is None else rgb.transpose(transpose)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of the image in its file, once upright; the image must be loaded."""
    width, height = image.info.get(FULL_SIZE, image.size)
    is_turned = _orientation(image) in TURNED
    return (height, width) if is_turned else (width, height)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 where it cannot be read; the image must be loaded."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # what Pillow raises for broken EXIF depends on where it is broken
        return 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as RGB: 16-bit by its high byte, alpha over white, the rest by Pillow.

    Raises:
        DataError: floating-point, signed or 32-bit values, which have no colour scale, 16-bit
            values that may be 8-bit ones, or the image is damaged.
    """
    is_file = image.format is not None
    if getattr(image, "tag_v2", None) and 2 in image.tag_v2.get(SAMPLE_FORMAT, ()):  # type: ignore[attr-defined]
        raise DataError("an image of signed numbers has no colour scale")
    if isinstance(image.info.get("transparency"), str):  # a text of that name in a PNG
        image = image.copy()
        del image.info["transparency"]
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise DataError("a floating-point image has no colour scale")
    if image.mode.startswith("I"):
        return _from_16_bit(image, is_file)
    with pillow_errors():
        return _from_8_bit(image)


def _from_8_bit(image: Image.Image) -> Image.Image:
    """An image of at most 8 bits a value as RGB, alpha over white."""
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image, is_file: bool) -> Image.Image:
    """A grey image of more than 8 bits by its highest 8; its transparent grey becomes white.

    A file says how many bits its values have; an image made in memory has 32 whatever they mean.
    """
    values = np.asarray(image)
    if not is_file and values.any() and 0 <= values.min() <= values.max() <= 255:
        raise DataError(
            f"a Pillow image of mode {image.mode} with values up to {values.max()} is black if "
            'they have 16 bits; if they have 8, image.convert("I").convert("L") says so'
        )
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= 65535:
        raise DataError("numbers of more than 16 bits have no colour scale")
    tags = getattr(image, "tag_v2", {})
    shift = 4 if tags.get(BITS_PER_SAMPLE) == (12,) else 8
    grey = (values >> shift).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == 0:  # 0 is white; Pillow inverts only 8 bits and less
        grey = 255 - grey
    if isinstance(key := image.info.get("transparency"), int):
        grey[values == key] = 255
    return Image.fromarray(grey).convert("RGB")


def color_moments(pixels: np.ndarray) -> np.ndarray:
    """Means of r, g, b, then of rr, rg, rb, gg, gb, bb over the pixels of an image: float64 [9].

    Sums over blocks of EXACT_PIXELS pixels are whole numbers that float32 holds, so all of them are
    exact.
    """
    count = pixels.size // 3
    planes = np.ones((4, -(-count // EXACT_PIXELS) * EXACT_PIXELS), np.float32)
    planes[:3, :count] = pixels.reshape(-1, 3).T
    planes[:3, count:] = 0
    blocks = planes.reshape(4, -1, EXACT_PIXELS).transpose(1, 0, 2)
    sums = np.matmul(blocks, blocks.transpose(0, 2, 1)).sum(0, dtype=np.float64)
    return np.concatenate([sums[3, :3], sums[:3, :3][np.triu_indices(3)]]) / count
