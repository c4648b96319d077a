"""One image file, opened so that no file can hang, crash or fill the memory of the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias

from PIL import Image, ImageFile

from alexnet.data.images.concurrency import pixel_budget, silence_warnings
from alexnet.data.images.formats import FORMATS
from alexnet.data.images.integrity import (
    check_jpeg_end,
    check_png_checksums,
    check_png_end,
    read_jpeg_markers,
)
from alexnet.data.images.rejection import pillow_errors
from alexnet.errors import DataError
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS

Box: TypeAlias = tuple[int, int, int, int]
"""Left, upper, right, lower."""


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """The image in a file, decoded by Pillow and not yet converted.

    The images that all threads decode at one time have at most MAX_IMAGE_PIXELS pixels together.
    That limits the memory: 4 to 16 bytes per pixel were measured, at most 2.8 GB.

    Raises:
        DataError: it is no regular file, no image of FORMATS, too large, or ends too early.
        OSError: it cannot be read, or is damaged.
    """
    with open_regular(path) as file, read_image(file) as image:
        yield image


@contextmanager
def read_image(file: IO[bytes]) -> Iterator[Image.Image]:
    """The image in a file that is open and can seek, under the same limits.

    Raises:
        DataError: as `open_image`.
        OSError: as `open_image`.
    """
    with silence_warnings:
        image = _read_header(file)
        check_size(image.size)
        with pixel_budget.reserve(image.width * image.height):
            yield _decode_and_check(image, file)


def check_size(size: tuple[int, int]) -> None:
    """Reject images without pixels and images with too many.

    Raises:
        DataError: width times height is 0 or above MAX_IMAGE_PIXELS.
    """
    width, height = size
    if width < 1 or height < 1:
        raise DataError(f"{width}x{height} pixels are no image")
    if width * height > MAX_IMAGE_PIXELS:
        raise DataError(f"{width}x{height} pixels are more than {MAX_IMAGE_PIXELS:,}")


def _read_header(file: IO[bytes]) -> ImageFile.ImageFile:
    """Read the header; DataError where the file is empty or too long."""
    size_bytes = file.seek(0, 2)
    if not size_bytes:
        raise DataError("the file is empty")
    if size_bytes > MAX_IMAGE_BYTES:
        raise DataError(f"the file has more than {MAX_IMAGE_BYTES:,} bytes")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DataError("Pillow's LOAD_TRUNCATED_IMAGES is on, which hides damage; switch it off")
    file.seek(0)
    with pillow_errors():
        image = Image.open(file, formats=FORMATS)
    assert isinstance(image, ImageFile.ImageFile)
    return image


def _decode_and_check(image: ImageFile.ImageFile, file: IO[bytes]) -> Image.Image:
    """Decode, and check for damage that Pillow does not report."""
    if image.format in ("JPEG", "MPO"):
        content = _read_all(file)
        markers = read_jpeg_markers(content)
        load(image)
        check_jpeg_end(image, content, markers)
    elif image.format == "PNG":
        content = _read_all(file)
        check_png_checksums(content)
        raw_mode = str(image.tile[0][3]) if image.tile else ""
        load(image)
        _scale_transparency(image, raw_mode)
        check_png_end(image, content)
    else:
        boxes = {tile[1] or (0, 0, *image.size) for tile in image.tile}
        load(image)
        return _composite_on_white(image, boxes)
    return image


def load(image: Image.Image) -> None:
    """Decode the pixels.

    Raises:
        DataError: the image is damaged.
        OSError: it cannot be read, or is damaged.
    """
    with pillow_errors():
        image.load()


def _read_all(file: IO[bytes]) -> bytes:
    """Read the whole file, and return to the position where it was."""
    position = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(position)
    return content


def _scale_transparency(image: ImageFile.ImageFile, raw_mode: str) -> None:
    """Scale the one transparent grey value of a PNG of 2 or 4 bits as its pixels, to 8 bits.

    `raw_mode` is Pillow's name for the layout of the pixels in the file.

    Raises:
        DataError: the PNG has 16-bit colours, of which Pillow keeps 8 bits, and a transparent one.
    """
    key = image.info.get("transparency")
    factor = {"L;2": 85, "L;4": 17}.get(raw_mode)
    if isinstance(key, int) and factor:
        image.info["transparency"] = key * factor
    if isinstance(key, tuple) and raw_mode == "RGB;16B":
        raise DataError("one 16-bit colour is transparent, which is not supported")


def _composite_on_white(image: ImageFile.ImageFile, boxes: set[Box]) -> Image.Image:
    """Fill with white what the first frame of a GIF does not cover.

    Raises:
        DataError: an image of another format has parts without data.
    """
    area = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if not boxes or area >= image.width * image.height:
        return image
    if image.format != "GIF":
        raise DataError("parts of the image have no data")
    ((left, upper, right, lower),) = boxes
    frame = image.convert("RGBA").crop((left, upper, right, lower))
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 0))
    canvas.paste(frame, (left, upper))
    return canvas
