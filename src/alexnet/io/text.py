"""Text for people: file and class names, which can hold any character, shapes, and errors."""

from __future__ import annotations

import os
import re
import reprlib
import shlex
from collections.abc import Iterable

LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Characters that stand for bytes of a file name that are not UTF-8 (`surrogateescape`). UTF-8
cannot encode them; JSON can, as escapes."""
JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiners: not printable alone, but part of words and emoji."""


IS_WINDOWS = os.name == "nt"
NOT_IN_FILE_NAMES = {"\0", "/", *('\\:*?"<>|' if IS_WINDOWS else "")}
"""Characters that a file name may not have. On Windows `C:name` leads to another folder, and
`name:stream` to a hidden part of a file."""


def printable(text: str) -> str:
    """The text with line breaks, control characters and bytes that are not UTF-8 as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in JOINERS else _escape(c) for c in text)


def _escape(c: str) -> str:
    is_byte = 0xDC80 <= ord(c) <= 0xDCFF
    return f"\\x{ord(c) - 0xDC00:02x}" if is_byte else c.encode("unicode_escape").decode()


def is_encodable(text: str) -> bool:
    """Whether a name can be encoded as UTF-8 with `surrogateescape`: it has no other surrogate."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def short_repr(value: object) -> str:
    """The value's `repr` for messages, shortened however large or deeply nested it is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 4, 120, 80, 40
    return short.repr(value)


def is_file_name(text: str) -> bool:
    """Whether a name, joined to a folder, is a path directly in that folder on this system."""
    return text not in ("", ".", "..") and not set(text) & NOT_IN_FILE_NAMES


def folder_name(text: str) -> str:
    """A name for a folder made of any text: letters, digits, "-" and "_", at most 40."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in text)[:40] or "images"


def shell_command(words: Iterable[str]) -> str:
    """Words as one command that the user can paste into the system's shell."""
    if not IS_WINDOWS:
        return shlex.join(words)
    from subprocess import list2cmdline

    return list2cmdline(words)


def count_text(count: int, noun: str) -> str:
    """A number with its noun: "1 epoch", "1,360 images"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shape_text(shape: Iterable[int]) -> str:
    """A shape for messages: "96x55x55"; "scalar" if it is empty."""
    return "x".join(map(str, shape)) or "scalar"


def error_text(error: BaseException | str) -> str:
    """The reason of an error, on one line of at most 300 characters.

    It is the operating system's reason if the error has one, else its message, else the name of
    its class.
    """
    text = str(getattr(error, "strerror", None) or error)
    return " ".join(text.split())[:300] or type(error).__name__
