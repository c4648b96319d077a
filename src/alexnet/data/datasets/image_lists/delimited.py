"""Delimited text as a table: separated by commas, semicolons, tabs, bars or spaces."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from alexnet.data.datasets.image_lists.columns import is_header
from alexnet.data.datasets.image_lists.table import Table, TableRow, is_image_name
from alexnet.errors import DataError
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_CSV_BYTES
from alexnet.io.text import error_text, short_repr

if TYPE_CHECKING:
    import _csv

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_CHARACTERS = 1 << 16
"""Length of the beginning of a file from which the separator is found."""
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SEPARATOR_LINE = re.compile(r"sep=(.)(?:\r\n|\n|\r|\Z)", re.IGNORECASE)
"""Excel's first line, which tells the separator."""
NOT_WESTERN = re.compile(r"[^\x00-\x7f]{3}")
"""Three accented letters in a row: in no Western European word, but in other alphabets that are
read as one."""
DECOMPRESSORS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item, return-value]
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


def read_delimited(path: Path) -> Table:
    """The rows of a CSV or text file; blank ones are left out.

    Raises:
        DataError: the file cannot be read, is no text, or is empty.
    """
    text, separator, notes = read_separated(path)
    numbered = _spaced_rows(text) if separator == " " else read_rows(path, text, separator)
    rows = [TableRow(number, cells) for number, cells in numbered if any(cells)]
    if not rows:
        raise DataError(f"{path} is empty; its rows are path,label or path,label,split")
    rows = _without_empty_ends(rows)
    header = tuple(rows[0].cells) if is_header(rows[0].cells) else None
    rows = rows if header is None else rows[1:]
    return Table(path, header, rows, separator=separator, notes=notes)


def read_separated(path: Path) -> tuple[str, str, list[str]]:
    """The text of a CSV file, what separates its cells, and a note if its encoding was inferred.

    Raises:
        DataError: as `read_text`.
    """
    text, notes = read_text(path)
    text = _without_comments(text)
    if named := SEPARATOR_LINE.match(text):
        return "\n" + text[named.end() :], named[1], notes  # keeps the numbers of the lines
    return text, _find_separator(text), notes


def _without_comments(text: str) -> str:
    """The text with empty lines in place of the comments at its beginning.

    A line that names columns or an image is no comment.
    """
    lines = text.split("\n")
    for i, line in enumerate(lines):
        words = re.split(r"[,;|\s]+", line.strip("# \r"))
        if not line.startswith("#") or is_header(words) or any(map(is_image_name, words)):
            break
        lines[i] = ""
    return "\n".join(lines)


def read_text(path: Path, what: str = "a CSV file") -> tuple[str, list[str]]:
    """The text of a file, which may be compressed, and a note where its encoding was inferred.

    Args:
        path: the file.
        what: what the file should be, for messages.

    Raises:
        DataError: it cannot be read, or is neither Unicode nor Windows-1252.
    """
    try:
        content = _read_unpacked(path)
        encoding = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "")
        return content.decode(encoding or "utf-8"), []
    except UnicodeDecodeError as error:
        return _western_text(path, content, error, what)
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise DataError(f"{path} cannot be read as {what}: {error_text(error)}") from error


def _read_unpacked(path: Path) -> bytes:
    with open_regular(path) as file:
        unpack = DECOMPRESSORS.get(path.suffix.lower())
        content = (unpack(file) if unpack else file).read(MAX_CSV_BYTES + 1)
    if len(content) > MAX_CSV_BYTES:
        raise ValueError(f"more than {MAX_CSV_BYTES:,} bytes")
    return content


def _western_text(
    path: Path, content: bytes, error: UnicodeDecodeError, what: str
) -> tuple[str, list[str]]:
    """Decode text that is not UTF-8 as Windows-1252, as Excel saves "CSV" in Western Europe."""
    line = content.count(b"\n", 0, error.start) + 1
    problem = f"{path} is not UTF-8, first on line {line}"
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or NOT_WESTERN.search(text):
        in_excel = " (in Excel: CSV UTF-8)" if "CSV" in what else ""
        raise DataError(
            f"{problem}, so it cannot be read as {what}; save it as UTF-8{in_excel}"
        ) from error
    example = next(word for word in text.split() if not word.isascii())
    return text, [f"{problem}; it was read as Windows-1252, such as {short_repr(example)}"]


def _find_separator(text: str) -> str:
    """The separator with the best `_score`; a space if no other one separates cells."""
    sample = text[:SAMPLE_CHARACTERS]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample
    scores = {separator: _score(sample, separator) for separator in SEPARATORS}
    best = max(SEPARATORS, key=scores.__getitem__)  # the first of equal ones
    first = next((line for line in _lines(sample) if line.strip()), "")
    is_spaced = not any(map(any, scores.values())) and len(first.split()) > 1
    return " " if is_spaced else best


def _score(sample: str, separator: str) -> tuple[bool, int, int]:
    """How well a separator fits; a greater tuple is better.

    Returns:
        Whether the first row is a header, and the number of rows with as many cells as the first:
        of those that name an image, and of all. False, 0, 0 if the first row has only one cell.
    """
    try:
        rows = list(_reader(sample, separator))
    except csv.Error:
        return False, 0, 0
    rows = [[cell.strip() for cell in row] for row in rows if any(row)]
    width = len(rows[0]) if rows else 0
    if width < 2:
        return False, 0, 0
    same = [row for row in rows if len(row) == width]
    with_images = sum(any(map(is_image_name, row)) for row in same)
    return is_header(rows[0]), with_images, len(same)


def _reader(text: str, separator: str, *, strict: bool = False) -> _csv.Reader:
    """A CSV reader; a quoted cell may have a space before it, as in `1.jpg, "rose, red"`."""
    file = io.StringIO(text, newline="")
    return csv.reader(file, delimiter=separator, skipinitialspace=True, strict=strict)


def read_rows(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """The number of the last line and the cells of every row, without spaces around them.

    Raises:
        DataError: it is not CSV.
    """
    try:
        reader = _reader(text, separator, strict=True)
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (csv.Error, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read as a CSV file: {error}") from error


def _spaced_rows(text: str) -> list[tuple[int, list[str]]]:
    """Rows of `path label`, as Caffe's lists have them; a path may contain spaces."""
    lines = [(number, line.split()) for number, line in enumerate(_lines(text), start=1)]
    words = [words for _, words in lines if words]
    if words[0][0] == "#" and is_header(words[0][1:]):
        del words[0][0]
    is_plain = len(set(map(len, words))) == 1 and all(is_image_name(row[0]) for row in words)
    if is_plain or is_header(words[0]):
        return lines
    return [(number, [" ".join(words[:-1]), *words[-1:]]) for number, words in lines]


def _lines(text: str) -> list[str]:
    return re.split(r"\r\n|\n|\r", text)


def _without_empty_ends(rows: list[TableRow]) -> list[TableRow]:
    """Remove the empty cells that spreadsheets write behind the last column."""
    first = rows[0].cells
    while not first[-1]:
        first = first[:-1]
    width = len(first)
    for _, cells in rows:
        while len(cells) > width and not cells[-1]:
            cells.pop()
    return rows
