"""The image formats that are read, and the endings of their files."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from PIL import features

FORMAT_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c"),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""The usual endings of each format."""
SUFFIXES = tuple(dict.fromkeys(suffix for group in FORMAT_SUFFIXES.values() for suffix in group))
"""Endings, in lower case, of the files that are taken for images, also where a package is missing
that reads them: such a file is rejected with a reason, and not skipped."""


def _has_codec(name: str) -> bool:
    """Whether the installed Pillow has an optional codec; older versions do not know all names."""
    return name in {**features.modules, **features.codecs} and bool(features.check(name))


FORMATS = (
    "JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM",
    *(["AVIF"] if _has_codec("avif") else []),
    *(["JPEG2000"] if _has_codec("jpg_2000") else []),
)  # fmt: skip
"""Pillow's names of the formats that are read, whatever a file is called. Its other formats stay
off: one of them, EPS, is a program that Pillow has Ghostscript run."""


@cache
def heic_formats() -> tuple[str, ...]:
    """Pillow's name of HEIC, after its plugin is loaded; empty where it is not installed."""
    if find_spec("pillow_heif") is None:
        return ()
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)
    return ("HEIF",)
