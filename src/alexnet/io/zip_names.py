"""The names in a .zip whose encoding it does not tell, as old programs write them.

Without the flag for UTF-8 a name is in the code page of the machine that made the archive, and
`zipfile` reads it as code page 437. The names of an archive are read in the first of UTF-8,
Shift-JIS (cp932) and cp437 in which all of them are words; those of other code pages hardly ever
are, and are refused.
"""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Sequence

from alexnet.errors import DataError

UTF8_FLAG = 0x800
JAPANESE = ("CJK UNIFIED", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC")
"""How Unicode's names of Japanese letters begin."""
JAPANESE_WORD = re.compile(r"[^\x00-\x7f]{2}|(?<![^/\n])[^\x00-\x7f](?![^/.\n])")
"""Two letters, or one alone: "p\u00e2te" of cp437 is read as p, one letter, e."""


def zip_names(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The paths of the files of an archive, with forward slashes.

    Raises:
        DataError: some are in an encoding that cannot be told.
    """
    raw = [_undecoded(info) for info in infos]
    encoding = _encoding([name for name in raw if name])
    return [
        (name.decode(encoding) if name else info.filename).replace("\\", "/")
        for info, name in zip(infos, raw, strict=True)
    ]


def _undecoded(info: zipfile.ZipInfo) -> bytes:
    """The bytes of a name whose encoding is not told; b"" where it is."""
    if info.flag_bits & UTF8_FLAG or info.filename.isascii():
        return b""
    try:
        return info.filename.encode("cp437")
    except UnicodeEncodeError:  # a second name, in UTF-8
        return b""


def _encoding(names: Sequence[bytes]) -> str:
    """The encoding of names that are not ASCII."""
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
    """All names, one a line; None if one of them is not in the encoding."""
    try:
        return "\n".join(name.decode(encoding) for name in names)
    except UnicodeError:
        return None


def _has_only(text: str, kinds: tuple[str, ...]) -> bool:
    """Whether all letters but ASCII are of some kinds."""
    others = {letter for letter in text if not letter.isascii()}
    return all(unicodedata.name(letter, "").startswith(kinds) for letter in others)
