"""One picture file, opened so that no file can hang, crash or flood the program."""

from __future__ import annotations

import errno
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias

from PIL import Image, ImageFile, UnidentifiedImageError

from alexnet.data.images.integrity import check_jpeg_end, check_png_end, check_png_sums, jpeg_marks
from alexnet.errors import DataError
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""Pillow's names of what is read, whatever a file is called. Its other formats stay shut: one of
them, EPS, is a program that Pillow has Ghostscript run."""
Box: TypeAlias = tuple[int, int, int, int]
"""Left, upper, right, lower."""
TRANSIENT_ERRNOS = {
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
"""Failures of the machine, which say nothing about the picture that was to be read."""


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Give the picture in a file, decoded by Pillow and not yet converted.

    All images that threads decode at the same time have at most MAX_IMAGE_PIXELS pixels together,
    which bounds the memory: 4 to 16 bytes a pixel were measured, at most 2.8 GB.

    Raises:
        DataError: it is no regular file, no picture of FORMATS, too large, or ends too early.
        OSError: it cannot be read, or is damaged. Pillow has other errors for damage, too.
    """
    with open_regular(path) as file, QUIET:
        image = _opened(file)
        check_size(image.size)
        with ROOM.for_pixels(image.width * image.height):
            yield _loaded(image, file)


def check_size(size: tuple[int, int]) -> None:
    """Refuse pictures without pixels and pictures with too many.

    Raises:
        DataError: width times height is 0 or above MAX_IMAGE_PIXELS.
    """
    width, height = size
    if width < 1 or height < 1:
        raise DataError(f"{width}x{height} pixels are no picture")
    if width * height > MAX_IMAGE_PIXELS:
        raise DataError(f"{width}x{height} pixels are more than {MAX_IMAGE_PIXELS:,}")


def rejection_reason(error: Exception, name: str) -> str:
    """The reason in one line, without the file's name, beside which it will stand.

    Raises:
        DataError: it is not the picture's fault, so nothing may be concluded from it; names it.
    """
    text = " ".join(str(error).split())[:200]
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in TRANSIENT_ERRNOS:
        raise DataError(
            f"{name} cannot be read now ({text or 'out of memory'}); what is prepared is kept: "
            "put that right, or take that picture out, and run the same again"
        ) from error
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return f"not a whole picture of a kind that is read ({', '.join(FORMATS)})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return text if isinstance(error, DataError) else f"damaged: {text or type(error).__name__}"


def _opened(file: IO[bytes]) -> ImageFile.ImageFile:
    """Read the header; DataError where there is nothing, or more than anything should have."""
    size_bytes = file.seek(0, 2)
    if not size_bytes:
        raise DataError("the file is empty")
    if size_bytes > MAX_IMAGE_BYTES:
        raise DataError(f"the file has more than {MAX_IMAGE_BYTES:,} bytes")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DataError("Pillow's LOAD_TRUNCATED_IMAGES is on, which hides damage; switch it off")
    file.seek(0)
    image = Image.open(file, formats=FORMATS)
    assert isinstance(image, ImageFile.ImageFile)
    return image


def _loaded(image: ImageFile.ImageFile, file: IO[bytes]) -> Image.Image:
    """Decode, with a look at what Pillow passes over."""
    if image.format in ("JPEG", "MPO"):
        content = _all_of(file)
        marks = jpeg_marks(content)
        image.load()
        check_jpeg_end(image, content, marks)
    elif image.format == "PNG":
        content = _all_of(file)
        check_png_sums(content)
        packing = str(image.tile[0][3]) if image.tile else ""
        image.load()
        _scale_transparency(image, packing)
        check_png_end(image, content)
    else:
        boxes = {tile[1] or (0, 0, *image.size) for tile in image.tile}
        image.load()
        return _composite_on_white(image, boxes)
    return image


def _all_of(file: IO[bytes]) -> bytes:
    """Read the whole file, and leave it where it stands."""
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    return content


def _scale_transparency(image: ImageFile.ImageFile, packing: str) -> None:
    """Bring the one transparent grey of a PNG of 2 or 4 bits to the scale of its 8-bit pixels.

    `packing` is Pillow's word for how the pixels lie in the file.

    Raises:
        DataError: three colours of 16 bits, of which Pillow keeps 8, have a transparent one.
    """
    key = image.info.get("transparency")
    factor = {"L;2": 85, "L;4": 17}.get(packing)
    if isinstance(key, int) and factor:
        image.info["transparency"] = key * factor
    if isinstance(key, tuple) and packing == "RGB;16B":
        raise DataError("one 16-bit colour is transparent, which is not read")


def _composite_on_white(image: ImageFile.ImageFile, boxes: set[Box]) -> Image.Image:
    """Make white what the first frame of a GIF leaves free.

    Raises:
        DataError: another picture has parts without data.
    """
    area = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if not boxes or area >= image.width * image.height:
        return image
    if image.format != "GIF":
        raise DataError("parts of the picture have no data")
    ((left, upper, right, lower),) = boxes
    frame = image.convert("RGBA").crop((left, upper, right, lower))
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 0))
    canvas.paste(frame, (left, upper))
    return canvas


class Room:
    """Lets threads in as long as their pictures together are not too large."""

    def __init__(self, pixels: int) -> None:
        self._free, self._changed = pixels, threading.Condition()

    @contextmanager
    def for_pixels(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for so many pixels, at most those of the whole room."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


class Quiet:
    """No warnings while any thread is inside.

    Pillow warns of broken EXIF and much else; what cannot be decoded still raises.
    `warnings.catch_warnings` alone is not for threads: one that leaves late would bring back the
    filters of one that is inside.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._caught.__exit__(None, None, None)


ROOM = Room(MAX_IMAGE_PIXELS)
QUIET = Quiet()
