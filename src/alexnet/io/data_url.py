"""Files that are written as text: `data:` addresses, and base64 alone."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse

from alexnet.errors import DataError

PREFIX = "data:"
HEAD = re.compile(r"data:image/[a-z0-9.+-]+(?:;[a-z0-9-]+=[^;,]*)*;base64,", re.IGNORECASE)
MIN_BASE64 = 100
"""Characters from which on a text may be a file; names of files are shorter, or have a dot."""
BASE64 = re.compile(rb"[A-Za-z0-9+/_\s-]+={0,2}\s*")
MAGIC = (b"/9j/", b"iVBORw0KGgo", b"R0lGOD", b"UklGR", b"Qk", b"SUkq", b"TU0A", b"AAAA")
"""How JPEG, PNG, GIF, WebP, BMP, TIFF, and AVIF and HEIC begin in base64."""


def is_data_url(text: str) -> bool:
    """Whether a text is a `data:` address."""
    return text[: len(PREFIX)].lower() == PREFIX


def is_data_image(text: str) -> bool:
    """Whether a `data:` address is of an image in base64."""
    return HEAD.match(text) is not None


def data_image(text: str, max_bytes: int) -> bytes:
    """The file of an image that a `data:` address holds.

    Args:
        text: begins as `is_data_image` says.
        max_bytes: a longer file is an error.

    Raises:
        DataError: it is too long, or its base64 is damaged.
    """
    content = text.partition(",")[2]
    if len(content) > 4 * max_bytes:  # base64 is 4 / 3 as long, and "%2B" three times a character
        raise DataError(f"the data: address is longer than {max_bytes:,} bytes")
    plain = b"".join(urllib.parse.unquote_to_bytes(content).split())
    try:
        decoded = base64.b64decode(plain, validate=True)
    except binascii.Error as error:
        raise DataError(f"the base64 of the data: address is damaged: {error}") from error
    if len(decoded) > max_bytes:
        raise DataError(f"the data: address is longer than {max_bytes:,} bytes")
    return decoded


def looks_like_base64(content: str | bytes) -> bool:
    """Whether a text, or bytes of text, are the file of an image in base64."""
    if len(content) < MIN_BASE64:
        return False
    start = content[:MIN_BASE64]
    start = start.encode("ascii", "replace") if isinstance(start, str) else bytes(start)
    return start.startswith(MAGIC) and BASE64.fullmatch(start) is not None
