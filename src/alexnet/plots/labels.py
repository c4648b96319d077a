"""Names in a figure: short, on few lines, and without boxes in place of letters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from alexnet.io.text import printable
from alexnet.plots.fonts import can_draw

MAX_LABEL_WIDTH = 28
"""Of a name, in columns; a Chinese character takes two."""

BREAKS = re.compile(r"[ _/]|(?<! )-")
"""After which a line may end."""


def text_width(text: str) -> int:
    """Columns that a text takes: two for wide characters, none for accents that are combined."""
    return sum(_char_width(c) for c in text)


def _char_width(c: str) -> int:
    if unicodedata.combining(c):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def short_label(name: str, width: int = MAX_LABEL_WIDTH) -> str:
    """A name on one line of at most `width` columns; "…" replaces the middle of longer ones."""
    text = printable(name)
    if text_width(text) <= width:
        return text
    tail = _head(text[::-1], (width - 1) // 3)[::-1]
    return f"{_head(text, width - 1 - text_width(tail))}…{tail}"


def _head(text: str, width: int) -> str:
    """The first characters that fit."""
    taken = 0
    for end, c in enumerate(text):
        taken += _char_width(c)
        if taken > width:
            return text[:end]
    return text


def wrapped_label(name: str, width: int, max_lines: int = 2) -> str:
    """A name on at most `max_lines` lines of `width` columns, broken after " ", "_", "-" or "/".

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
    """Short names of classes, all different.

    "class 3" replaces a name that no installed font can draw, 3 being its index, so that names are
    all of a data set's; of some of them `drawable` makes labels.
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
    """The text; if no installed font can draw it, `instead`, or what it has of such as escapes."""
    shown = printable(text)
    if can_draw(shown):
        return shown
    if instead is not None:
        return instead
    return "".join(c if can_draw(c) else c.encode("unicode_escape").decode() for c in shown)


def font_note(class_names: Sequence[str]) -> str:
    """A sentence for plots that show numbers in place of class names; "" if they need not."""
    count = sum(not can_draw(name) for name in class_names)
    if not count:
        return ""
    names = "1 class name" if count == 1 else f"{count:,} class names"
    return (
        f"no installed font can draw {names}; plots show "
        f"{'its number' if count == 1 else 'their numbers'} (class 0 is the first)"
    )
