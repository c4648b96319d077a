"""One image file, opened so that no file can hang, crash or fill the memory of the program."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from alexnet.data.images.concurrency import pixel_budget, silence_warnings
from alexnet.data.images.formats import FORMATS, heic_formats
from alexnet.data.images.fraction import decode_at_a_fraction
from alexnet.data.images.integrity import (
    check_jpeg_end,
    check_png_checksums,
    check_png_end,
    read_jpeg_markers,
)
from alexnet.data.images.kinds import (
    AVIF,
    HEAD_BYTES,
    HEIC,
    JPEG,
    JPEG2000,
    PNG,
    RAW,
    READ,
    UNKNOWN,
    FileKind,
    kind_of,
)
from alexnet.data.images.rejection import pillow_errors
from alexnet.data.images.repair import add_end_marker, drop_long_texts, drop_misread_texts
from alexnet.errors import DataError
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS

REMARKS, FULL_SIZE = "\0remarks", "\0full_size"
"""Keys of `Image.info`: what is odd about an image that is read, a list of sentences; and its width
and height in the file. Pillow puts a PNG's texts there too, whose keywords end before a NUL."""
REPAIRS: dict[FileKind, tuple[Callable[[bytes], bytes], str]] = {
    PNG: (drop_long_texts, "it has a text of more than 1 MB, which is not read"),
    JPEG: (add_end_marker, "it lacks its end marker; all pixels are there"),
}
"""What repairs a file of each kind, and the remark on a file that it has changed."""
OPTIONAL_FORMATS = {AVIF: "AVIF", JPEG2000: "JPEG2000"}
"""Pillow's names of the formats that not every Pillow reads, by kind."""
BITS_PER_SAMPLE, NEW_SUBFILE_TYPE, SUB_IFDS, DNG_VERSION = 258, 254, 330, 50706
"""Tags of a TIFF."""
Box: TypeAlias = tuple[int, int, int, int]
"""Left, upper, right, lower."""


@contextmanager
def open_image(path: Path, side: int = 0) -> Iterator[Image.Image]:
    """The image in a file, decoded by Pillow and not yet converted.

    Args:
        path: the file.
        side: to which the image will be shrunk; a JPEG that is much larger is decoded at 1/2, 1/4
            or 1/8 of its size, several times as fast. 0: at its own size.

    The images that all threads decode at one time have at most MAX_IMAGE_PIXELS pixels together.
    That limits the memory: 4 to 16 bytes per pixel were measured, at most 2.8 GB.

    Raises:
        DataError: it is no regular file, no image of FORMATS, too large, or ends too early.
        OSError: it cannot be read, or is damaged.
    """
    with open_regular(path) as file, read_image(file, side) as image:
        yield image


@contextmanager
def read_image(file: IO[bytes], side: int = 0) -> Iterator[Image.Image]:
    """The image in a file that is open and can seek, under the same limits.

    Args:
        file: what is read.
        side: as for `open_image`.

    Raises:
        DataError: as `open_image`.
        OSError: as `open_image`.
    """
    with silence_warnings:
        file, remarks = _prepare(file)
        image = _read_header(file)
        full_size = image.size
        check_size(full_size)
        decode_at_a_fraction(image, side)
        with pixel_budget.reserve(image.width * image.height):
            decoded = _decode_and_check(image, file, remarks, side)
            decoded.info |= {REMARKS: remarks, FULL_SIZE: full_size}
            yield decoded


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


def _prepare(file: IO[bytes]) -> tuple[IO[bytes], list[str]]:
    """Check a file's size, and repair what Pillow would refuse though no pixel is missing.

    Raises:
        DataError: the file is empty or too long, or Pillow is told to hide damage.
    """
    size_bytes = file.seek(0, io.SEEK_END)
    if not size_bytes:
        raise DataError("the file is empty")
    if size_bytes > MAX_IMAGE_BYTES:
        raise DataError(f"the file has more than {MAX_IMAGE_BYTES:,} bytes")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DataError("Pillow's LOAD_TRUNCATED_IMAGES is on, which hides damage; switch it off")
    kind = _kind(file)
    if kind not in REPAIRS:
        return file, []
    repair, remark = REPAIRS[kind]
    content = _read_all(file)
    repaired = repair(content)
    remarks = [] if repaired is content else [remark]
    if kind == PNG:
        repaired = drop_misread_texts(repaired)
    return file if repaired is content else io.BytesIO(repaired), remarks


def _kind(file: IO[bytes]) -> FileKind:
    file.seek(0)
    kind = kind_of(file.read(HEAD_BYTES))
    file.seek(0)
    return kind


def _read_header(file: IO[bytes]) -> ImageFile.ImageFile:
    """Read the header of an image of a format that is read.

    Raises:
        DataError: it is another kind of file; says which, and what to do.
    """
    kind = _kind(file)
    formats = heic_formats() if kind == HEIC else FORMATS
    try:
        with pillow_errors():
            image = Image.open(file, formats=formats)
    except UnidentifiedImageError as error:
        raise DataError(_why_not_read(kind)) from error
    assert isinstance(image, ImageFile.ImageFile)
    return image


def _why_not_read(kind: FileKind) -> str:
    """Why Pillow does not open a file of this kind, and what to do."""
    if kind == UNKNOWN:
        return f"not a whole image of a supported format ({', '.join(FORMATS)})"
    if not _has_decoder(kind):
        return _lacks_decoder(kind)
    if kind in READ:
        return f"damaged: {kind.words} whose header cannot be read"
    text = f"{kind.words}, which is not read" if kind.is_image else f"{kind.words}, not an image"
    return f"{text}; {kind.remedy}" if kind.remedy else text


def _has_decoder(kind: FileKind) -> bool:
    """Whether the decoder is here that a kind of image needs beside Pillow; True for most kinds."""
    if kind == HEIC:
        return bool(heic_formats())
    return OPTIONAL_FORMATS.get(kind, "JPEG") in FORMATS


def _lacks_decoder(kind: FileKind) -> str:
    """The reason to reject an image of a kind whose decoder is not here."""
    if kind == HEIC:
        return f"{kind.words}, which needs pip install 'alexnet[heic]'; or {kind.remedy}"
    return f"{kind.words}, which the installed Pillow cannot read; update it, or {kind.remedy}"


def lacked_decoder(reason: str) -> bool:
    """Whether an image was rejected, by its reason, for lack of a decoder that is here now."""
    kinds = (HEIC, *OPTIONAL_FORMATS)
    return any(reason == _lacks_decoder(kind) and _has_decoder(kind) for kind in kinds)


def optional_formats() -> tuple[str, ...]:
    """The optional formats that this installation reads."""
    return (*(name for name in OPTIONAL_FORMATS.values() if name in FORMATS), *heic_formats())


def _decode_and_check(
    image: ImageFile.ImageFile, file: IO[bytes], remarks: list[str], side: int
) -> Image.Image:
    """Decode, and check for damage that Pillow does not report."""
    raw_mode = str(image.tile[0][3]) if image.tile else ""
    boxes = {tile[1] or (0, 0, *image.size) for tile in image.tile}
    decoded: Image.Image = image
    if image.format in ("JPEG", "MPO"):
        content = _read_all(file)
        markers = read_jpeg_markers(content)
        load(image)
        check_jpeg_end(image, content, markers, side, is_suspect=bool(remarks))
    elif image.format == "PNG":
        content = _read_all(file)
        check_png_checksums(content)
        load(image)
        _scale_transparency(image, raw_mode)
        check_png_end(image, content)
    else:
        _check_tiff(image)
        load(image)
        decoded = _composite_on_white(image, boxes)
    if (largest := _largest_of_16_bits(image, raw_mode)) < 1 << 12:
        remarks.append(
            f"values up to {largest:,} of 65,535: it looks like {max(8, largest.bit_length())} "
            "bits in 16, and will be nearly black"
        )
    return decoded


def _largest_of_16_bits(image: Image.Image, raw_mode: str) -> int:
    """The largest value of an image of 16 bits, or what it may be at most; 65,535 for others."""
    if image.mode == "I;16" or (image.mode == "I" and image.format in ("PNG", "PPM")):
        is_12_bit = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE) == (12,)
        return 65535 if is_12_bit else int(np.asarray(image).max())
    if "16" in raw_mode and image.mode in ("RGB", "RGBA", "LA"):  # Pillow has kept the high byte
        with pillow_errors():
            colors = image.convert("RGB").getextrema()
        return max(high for _, high in colors) * 256 + 255  # type: ignore[misc]
    return 65535


def _check_tiff(image: ImageFile.ImageFile) -> None:
    """Reject a raw camera file, of which Pillow would read a small preview.

    Raises:
        DataError: it is one.
    """
    tags = getattr(image, "tag_v2", {})
    with pillow_errors():  # a tag is decoded when it is asked for
        subfile_type = tags.get(NEW_SUBFILE_TYPE)
    is_reduced = isinstance(subfile_type, int) and subfile_type & 1
    if DNG_VERSION in tags or (is_reduced and SUB_IFDS in tags):
        raise DataError(f"{RAW.words}, which is not read; {RAW.remedy}")


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
