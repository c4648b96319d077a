"""Text of the program as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable


def escape(text: str) -> str:
    """Text whose characters mean nothing in Markdown; `x` stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_\[\]<>|#$~])", r"\\\1", part)
        for part in parts
    )


def code(text: str) -> str:
    """Text as code."""
    return f"`{text}`"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fenced(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def slug(words: str) -> str:
    """A file's name for a command: `data check` is data-check."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
