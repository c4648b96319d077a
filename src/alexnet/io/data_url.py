"""Read files that are given as text: `data:` URLs, and plain base64."""

from __future__ import annotations

import base64
import binascii
import re

from alexnet.errors import DataError

PREFIX = "data:"
HEAD = re.compile(r"data:image/[a-z0-9.+-]+(?:;[a-z0-9-]+=[^;,]*)*;base64,", re.IGNORECASE)
MIN_BASE64 = 100
"""Length from which a text may be base64; names of files are shorter, or have a dot."""
BASE64 = re.compile(rb"[A-Za-z0-9+/_\s-]+={0,2}\s*")
MAGIC = (b"/9j/", b"iVBORw0KGgo", b"R0lGOD", b"UklGR", b"Qk", b"SUkq", b"TU0A", b"AAAA")
"""First characters, in base64, of JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF and HEIC files."""

WHITE_SPACE = b" \t\r\n\f\v"
ESCAPES = (
    (b"%2B", b"+"),
    (b"%2F", b"/"),
    (b"%3D", b"="),
    (b"%20", b""),
    (b"%0A", b""),
    (b"%0D", b""),
)
"""What URLs escape in base64, and what it stands for."""


def is_data_url(text: str) -> bool:
    """Whether a text is a `data:` URL."""
    return text[: len(PREFIX)].lower() == PREFIX


def is_data_image(text: str) -> bool:
    """Whether a text is a `data:` URL of an image in base64."""
    return HEAD.match(text) is not None


def data_image(text: str, max_bytes: int) -> bytes:
    """The bytes of the image file in a `data:` URL.

    Args:
        text: the URL, for which `is_data_image` is true.
        max_bytes: size above which the file is an error.

    Raises:
        DataError: the file is too large, or its base64 is damaged.
    """
    content = text.partition(",")[2]
    if len(content) > 4 * max_bytes:  # base64 is 4 / 3 as long, and "%2B" three times a character
        raise DataError(f"the data: address is longer than {max_bytes:,} bytes")
    try:
        decoded = decode_base64(content, is_url=True)
    except binascii.Error as error:
        raise DataError(f"the base64 of the data: address is damaged: {error}") from error
    if len(decoded) > max_bytes:
        raise DataError(f"the data: address is longer than {max_bytes:,} bytes")
    return decoded


def decode_base64(text: str | bytes, *, is_url: bool = False) -> bytes:
    """The bytes that a text in base64 has; its white space is left out.

    A text may be anyone's: none takes more than a few times its own memory.

    Args:
        text: the base64.
        is_url: whether it is part of a URL, where "%2B" is a "+".

    Raises:
        binascii.Error: the text is not base64.
    """
    plain = text.encode("ascii", "replace") if isinstance(text, str) else text
    if is_url and b"%" in plain:
        for escape, character in ESCAPES:
            plain = plain.replace(escape, character).replace(escape.lower(), character)
    return base64.b64decode(plain.translate(None, WHITE_SPACE), validate=True)


def looks_like_base64(content: str | bytes) -> bool:
    """Whether a text, or bytes of text, look like an image file in base64."""
    if len(content) < MIN_BASE64:
        return False
    start = content[:MIN_BASE64]
    start = start.encode("ascii", "replace") if isinstance(start, str) else bytes(start)
    return start.startswith(MAGIC) and BASE64.fullmatch(start) is not None
