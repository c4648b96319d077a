"""Text tables, numbers and notes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from alexnet.config.serialization import json_document
from alexnet.io.tables import Table
from alexnet.io.text import count_text, printable, shell_command
from alexnet.progress import print_line

NOT_YET = "nothing is removed yet; add --yes to remove it"
"""The message of commands that remove files only with --yes."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Format a table as text; the first `left` columns are aligned left, the others right."""
    return Table(tuple(header), rows, left).as_text()


def name_list(names: Sequence[str], shown: int = 5) -> str:
    """The first names of a list joined by commas, with "..." if there are more."""
    first = ", ".join(map(printable, names[:shown]))
    return first + (", ..." if len(names) > shown else "")


def percent(fraction: float | None) -> str:
    """Format a fraction from 0 to 1 as percent; a dash for None, as of no images."""
    return "-" if fraction is None else f"{100 * fraction:.2f} %"


def temperature_text(temperature: float, num_images: int) -> str:
    """A temperature, and what it was fitted on if that is known: num_images is not 0."""
    images = f", fitted on {count_text(num_images, 'validation image')}" if num_images else ""
    return f"temperature {temperature:.3g}{images}"


def size_text(size_bytes: int) -> str:
    """Format a number of bytes with a unit, such as "37.7 MB"."""
    size, units = float(size_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 999.95 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.1f} {units[0]}" if units[0] != "bytes" else f"{size_bytes} bytes"


def print_json(value: object) -> None:
    """Print a dataclass as JSON, of which `alexnet schema` prints the JSON Schema."""
    print(json_document(value))


def note(text: str) -> None:
    """Print a line to stderr; a closed pipe there does not stop a run."""
    print_line(text, sys.stderr)


def note_next(*commands: Sequence[str]) -> None:
    """Print possible next commands to stderr, quoted for a shell."""
    for i, words in enumerate(commands):
        note(f"{'' if i else 'next':10}{shell_command(words)}")
