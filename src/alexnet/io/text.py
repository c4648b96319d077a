"""Names of files and classes, which may hold anything but a slash, as text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""What Python makes of a name's bytes that are not UTF-8; UTF-8 cannot say it, JSON can."""
JOINERS = "\u200c\u200d"
"""Not printable by themselves, and part of words and of emoji."""


def printable(text: str) -> str:
    """The text with line breaks, control signs and bytes that are not UTF-8 written as escapes."""
    return "".join(c if c.isprintable() or c in JOINERS else _escape(c) for c in text)


def _escape(c: str) -> str:
    is_byte = 0xDC80 <= ord(c) <= 0xDCFF
    return f"\\x{ord(c) - 0xDC00:02x}" if is_byte else c.encode("unicode_escape").decode()


def is_file_name(text: str) -> bool:
    """Whether a name stays in the folder it is joined to."""
    return text not in ("", ".", "..") and not set(text) & {"\0", "/", os.sep, os.altsep}


def shape_text(shape: Iterable[int]) -> str:
    """A shape as people write it: "96x55x55"; "scalar" where there are no sizes."""
    return "x".join(map(str, shape)) or "scalar"
