"""Names in a figure: short, on few lines, and without boxes in place of letters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from alexnet.io.text import printable
from alexnet.plots.fonts import can_draw

MAX_LABEL_WIDTH = 28
"""Maximum width of a name in columns; a Chinese character takes two."""

BREAKS = re.compile(r"[ _/]|(?<! )-")
"""The characters after which a line may end."""


def text_width(text: str) -> int:
    """The width of a text in columns: two for wide characters, none for combining accents."""
    return sum(_char_width(c) for c in text)


def _char_width(c: str) -> int:
    if unicodedata.combining(c):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def short_label(name: str, width: int = MAX_LABEL_WIDTH) -> str:
    """Shorten a name to at most `width` columns; "…" replaces the middle of longer names."""
    text = printable(name)
    if text_width(text) <= width:
        return text
    tail = _head(text[::-1], (width - 1) // 3)[::-1]
    return f"{_head(text, width - 1 - text_width(tail))}…{tail}"


def _head(text: str, width: int) -> str:
    """The longest beginning of a text that fits into `width` columns."""
    taken = 0
    for end, c in enumerate(text):
        taken += _char_width(c)
        if taken > width:
            return text[:end]
    return text


def wrapped_label(name: str, width: int, max_lines: int = 2) -> str:
    """Wrap a name to at most `max_lines` lines of `width` columns, after " ", "_", "-" or "/".

    A minus after a space stays with its number.
    """
    rest = printable(name)
    lines: list[str] = []
    while rest and len(lines) < max_lines - 1 and text_width(rest) > width:
        head = _head(rest, width)
        at = max((mark.end() for mark in BREAKS.finditer(head)), default=0)
        head = head[:at] if at > width // 3 else head
        lines.append(head.rstrip())
        rest = rest[len(head) :].lstrip()
    return "\n".join([*lines, short_label(rest, width)])


def class_labels(class_names: Sequence[str], width: int = MAX_LABEL_WIDTH) -> list[str]:
    """Short and distinct labels of all classes of a data set.

    "class 3" is the label of class 3 if no installed font can draw its name. For some of the
    classes use `drawable`, since the indices would be wrong here.
    """
    labels = [
        short_label(name, width) if can_draw(name) else f"class {i}"
        for i, name in enumerate(class_names)
    ]
    times = Counter(labels)
    return [
        f"{short_label(label, width - 6)} ({i})" if times[label] > 1 else label
        for i, label in enumerate(labels)
    ]


def drawable(text: str, instead: str | None = None) -> str:
    """The text; if fonts lack some of its characters, `instead`, or the text with these escaped."""
    shown = printable(text)
    if can_draw(shown):
        return shown
    if instead is not None:
        return instead
    return "".join(c if can_draw(c) else c.encode("unicode_escape").decode() for c in shown)


def font_note(class_names: Sequence[str]) -> str:
    """A sentence on class names that plots replace by numbers; "" if fonts can draw all of them."""
    count = sum(not can_draw(name) for name in class_names)
    if not count:
        return ""
    names = "1 class name" if count == 1 else f"{count:,} class names"
    return (
        f"no installed font can draw {names}; plots show "
        f"{'its number' if count == 1 else 'their numbers'} (class 0 is the first)"
    )
