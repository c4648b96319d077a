"""The kind of a file by its first bytes: an image that is read, another kind of image, or none.

Names and endings say little: browsers save AVIF as .jpg, and failed downloads leave HTML pages.
Nothing here rejects a file that Pillow can decode; it words the reason for the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from alexnet.io.files import open_regular

HEAD_BYTES = 4096
"""Bytes from the start of a file that are enough to tell its kind."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """The kind of a file, in words, and what to do with a file of that kind that is not read."""

    words: str
    """The kind with its article: "a PNG image"."""
    is_image: bool = True
    """Whether it holds one image, read here or not."""
    remedy: str = "convert it to PNG or JPEG"


def _other(words: str, remedy: str = "") -> FileKind:
    return FileKind(words, False, remedy)


JPEG, PNG, GIF = FileKind("a JPEG image"), FileKind("a PNG image"), FileKind("a GIF image")
BMP, WEBP, TIFF = FileKind("a BMP image"), FileKind("a WebP image"), FileKind("a TIFF image")
PPM = FileKind("a PPM image")
AVIF, HEIC = FileKind("an AVIF image"), FileKind("a HEIC image")
JPEG2000 = FileKind("a JPEG 2000 image")
RAW = FileKind("a raw camera file", remedy="develop it to PNG or JPEG")
VIDEO = _other("a video", "save its frames as images")
SVG = FileKind("an SVG drawing")
HTML = _other("an HTML page", "download the image itself")
TEXT = _other("a text file")
UNKNOWN = _other("no image of a known format")
READ = (JPEG, PNG, GIF, BMP, WEBP, TIFF, PPM, AVIF, HEIC, JPEG2000)
"""The kinds that are read; AVIF, HEIC and JPEG 2000 where the installed packages can."""

PATTERNS: tuple[tuple[bytes, FileKind], ...] = (
    (rb"\xff\xd8\xff", JPEG),
    (rb"\x89PNG\r\n\x1a\n", PNG),
    (rb"GIF8[79]a", GIF),
    (rb"BM.{4}\0{4}", BMP),
    (rb"RIFF....WEBP", WEBP),
    (rb"(II\*\0....CR|IIR[OS]|IIU\0|FUJIFILMCCD-RAW|\0MRM|FOVb|....ftypcrx )", RAW),
    (rb"II\xbc\x01", FileKind("a JPEG XR image")),
    (rb"(II\*\0|MM\0\*|II\+\0|MM\0\+)", TIFF),
    (rb"P[1-6]\s*[#\d]", PPM),
    (rb"(\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51)", JPEG2000),
    (rb"(\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n)", FileKind("a JPEG XL image")),
    (rb"....ftyp(avif|avis|mif1....(.{4})*?avif)", AVIF),
    (rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", HEIC),
    (rb"....(ftyp|moov|mdat|wide)", VIDEO),
    (rb"(\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01|\0\0\x01[\xba\xb3]|OggS)", VIDEO),
    (rb"\0\0[\1\2]\0[^\0]", FileKind("an icon (ICO)")),
    (rb"icns", FileKind("an icon (ICNS)")),
    (rb"8BPS", FileKind("a Photoshop file (PSD)")),
    (rb"gimp xcf", FileKind("a GIMP file (XCF)")),
    (rb"qoif", FileKind("a QOI image")),
    (rb"DDS ", FileKind("a DDS image")),
    (rb"\x0a[\0-\x05]\x01[\1\2\4\x08]", FileKind("a PCX image")),
    (rb"\x01\xda[\0\1][\1\2]", FileKind("an SGI image")),
    (rb"(P[Ff]\s|#\?RADIANCE|v/1\x01)", FileKind("an HDR image of floating-point numbers")),
    (rb"(\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF)", FileKind("a Windows metafile")),
    (rb"SIMPLE  =", FileKind("a FITS image")),
    (rb".{128}DICM", FileKind("a DICOM image")),
    (rb"AT&TFORM", FileKind("a DjVu document")),
    (rb"(%!PS|\xc5\xd0\xd3\xc6)", FileKind("a PostScript drawing (EPS)")),
    (rb"%PDF", _other("a PDF document", "save its pages as images")),
    (rb"version https://git-lfs", _other("a pointer of Git LFS", "run git lfs pull")),
    (rb"PK\x03\x04.{26,200}?(data\.pkl|/version)", _other("a PyTorch checkpoint")),
    (rb"(PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!)", _other("an archive", "unpack it")),
    (rb"\x93NUMPY", _other("a numpy array", "load it and give predict the array")),
    (rb"\x89HDF\r\n", _other("an HDF5 file")),
    (rb"\x80[\2-\5]", _other("a Python pickle")),
    (rb".{7}\0\{\"", _other("a safetensors file")),
    (rb".[\0\1][\1-\3\x09-\x0b].{13}[\x08\x0f\x10\x18\x20][\0-\x3f]",
     FileKind("a TGA image")),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in PATTERNS)


def kind_of(head: bytes) -> FileKind:
    """The kind of a file by its first HEAD_BYTES bytes."""
    for pattern, kind in _COMPILED:
        if pattern.match(head):
            return kind
    return _kind_of_text(head) if _is_text(head) else UNKNOWN


def kind_of_file(path: Path) -> FileKind:
    """The kind of a file on the disk.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        return kind_of(file.read(HEAD_BYTES))


def _kind_of_text(head: bytes) -> FileKind:
    markup = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not markup.startswith(b"<"):
        return TEXT
    is_page = markup.startswith((b"<!doctype html", b"<html"))
    if b"<svg" in markup and not is_page:
        return SVG
    return HTML if b"<html" in markup or is_page else TEXT


def _is_text(head: bytes) -> bool:
    """Whether the beginning of a file is text in UTF-8, whose last character may be cut."""
    try:
        head[: len(head) - 4 if len(head) == HEAD_BYTES else None].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(head) and b"\0" not in head
