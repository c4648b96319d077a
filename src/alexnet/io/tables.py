"""Tables as plain text, Markdown, HTML, LaTeX and CSV."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alexnet.io.text import printable

Cell: TypeAlias = str | int | float | None
"""Value of a cell: a float is a fraction, shown as percent; None is an empty cell."""

LATEX_ESCAPES = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}"}
)
MARKDOWN_SPECIALS = re.compile(r"[\\|*<`\[\]]|(?<![^\W_])_|_(?![^\W_])")
"""Characters that are escaped in Markdown; underscores are only at the edges of a word."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with one header row."""

    header: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    left: int = 1
    """The number of first columns that are aligned left; the others are aligned right."""
    footer: Sequence[Cell] = ()
    """Last row with sums; left out in CSV."""

    def select(self, names: dict[str, str]) -> Table:
        """A table of the columns in the keys of `names`, with the values as their headers."""
        indices = [self.header.index(name) for name in names]
        rows = [[row[i] for i in indices] for row in self.rows]
        footer = [self.footer[i] for i in indices] if self.footer else ()
        left = sum(i < self.left for i in indices)
        return Table(tuple(names.values()), rows, left, footer)

    def _body(self) -> list[list[str]]:
        """All rows, and the footer if there is one, as text."""
        rows = [*self.rows, self.footer] if self.footer else self.rows
        return [[cell_text(cell) for cell in row] for row in rows]

    def as_text(self, min_widths: Sequence[int] = ()) -> str:
        """Plain text with aligned columns and dashes below the header.

        `min_widths` are the least widths of the first columns.
        """
        cells = [list(self.header), *[[printable(cell) for cell in row] for row in self._body()]]
        lowest = [*min_widths, *[0] * (len(self.header) - len(min_widths))]
        widths = [max(low, *(len(row[i]) for row in cells)) for i, low in enumerate(lowest)]
        lines = ["  ".join(self._pad(row, widths)).rstrip() for row in cells]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])

    def _pad(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        return [
            cell.ljust(width) if i < self.left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]

    def as_markdown(self) -> str:
        """A table of GitHub's Markdown, whose source is aligned, too."""
        cells = [
            [MARKDOWN_SPECIALS.sub(r"\\\g<0>", printable(cell)) for cell in row]
            for row in [list(self.header), *self._body()]
        ]
        widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(self.header))]
        lines = [f"| {' | '.join(self._pad(row, widths))} |" for row in cells]
        rules = [
            "-" * width if i < self.left else "-" * (width - 1) + ":"
            for i, width in enumerate(widths)
        ]
        return "\n".join([lines[0], f"| {' | '.join(rules)} |", *lines[1:]])

    def as_html(self) -> str:
        """A `<table>` element, to be put into a page."""
        head = self._html_row(self.header, "th")
        body = "\n".join(self._html_row(row, "td") for row in self._body())
        return f"<table>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def _html_row(self, row: Sequence[str], tag: str) -> str:
        cells = "".join(
            f'<{tag} style="text-align: {"left" if i < self.left else "right"}">'
            f"{html.escape(printable(cell))}</{tag}>"
            for i, cell in enumerate(row)
        )
        return f"<tr>{cells}</tr>"

    def as_latex(self) -> str:
        """A `tabular` environment that needs no package."""
        lines = [
            " & ".join(printable(cell).translate(LATEX_ESCAPES) for cell in row) + r" \\"
            for row in [list(self.header), *self._body()]
        ]
        columns = "l" * self.left + "r" * (len(self.header) - self.left)
        if self.footer:
            lines.insert(-1, r"\hline")
        begin = rf"\begin{{tabular}}{{{columns}}}"
        head, *body = lines
        return "\n".join([begin, r"\hline", head, r"\hline", *body, r"\hline", r"\end{tabular}"])

    def as_csv(self) -> str:
        """Comma-separated values; numbers are plain, fractions from 0 to 1."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return text.getvalue().removesuffix("\n")


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": Table.as_text,
    "markdown": Table.as_markdown,
    "html": Table.as_html,
    "latex": Table.as_latex,
    "csv": Table.as_csv,
}
"""Methods that write a table, by the name of the format."""


def cell_text(cell: Cell) -> str:
    """The text of a cell: thousands are separated by commas, fractions are shown as percent."""
    match cell:
        case None:
            return ""
        case str():
            return cell
        case float():
            return f"{cell:.1%}"
    return f"{cell:,}"
