"""Decode the names in a .zip of an old program, which does not give their encoding.

Without the flag for UTF-8 a name is in the code page of the machine that made the archive, and
`zipfile` reads it as code page 437. The names of an archive are decoded by the first of UTF-8,
Shift-JIS (cp932) and cp437 in which all of them are words. Names in other code pages hardly ever
are, and are rejected.
"""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Sequence

from alexnet.errors import DataError

UTF8_FLAG = 0x800
JAPANESE = ("CJK UNIFIED", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC")
"""First words of the names that Unicode gives Japanese letters."""
JAPANESE_WORD = re.compile(r"[^\x00-\x7f]{2}|(?<![^/\n])[^\x00-\x7f](?![^/.\n])")
"""Two adjacent letters, or one alone; "p\u00e2te" in cp437 would be read as p, one letter, e."""


def zip_names(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The paths of the files of an archive, with forward slashes.

    Raises:
        DataError: the encoding of some names cannot be detected.
    """
    raw = [_undecoded(info) for info in infos]
    encoding = _encoding([name for name in raw if name])
    return [
        (name.decode(encoding) if name else info.filename).replace("\\", "/")
        for info, name in zip(infos, raw, strict=True)
    ]


def _undecoded(info: zipfile.ZipInfo) -> bytes:
    """The bytes of a name whose encoding is unknown; b"" if it is known."""
    if info.flag_bits & UTF8_FLAG or info.filename.isascii():
        return b""
    try:
        return info.filename.encode("cp437")
    except UnicodeEncodeError:  # a second name, in UTF-8
        return b""


def _encoding(names: Sequence[bytes]) -> str:
    """Detect the encoding of names that are not ASCII."""
    if _decoded(names, "utf-8") is not None:
        return "utf-8"
    japanese = _decoded(names, "cp932") or ""
    if JAPANESE_WORD.search(japanese) and _has_only(japanese, JAPANESE):
        return "cp932"
    if _has_only(_decoded(names, "cp437") or "", ("LATIN",)):
        return "cp437"
    shown = names[0].decode("ascii", "backslashreplace")
    raise DataError(
        f"the archive has names in an encoding that it does not tell, such as {shown[:100]}; "
        "unpack it yourself and give the folder"
    )


def _decoded(names: Sequence[bytes], encoding: str) -> str | None:
    """All names, decoded, one per line; None if one of them is not in the encoding."""
    try:
        return "\n".join(name.decode(encoding) for name in names)
    except UnicodeError:
        return None


def _has_only(text: str, kinds: tuple[str, ...]) -> bool:
    """Whether the Unicode names of all letters but ASCII begin with one of `kinds`."""
    others = {letter for letter in text if not letter.isascii()}
    return all(unicodedata.name(letter, "").startswith(kinds) for letter in others)
