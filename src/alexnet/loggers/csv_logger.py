"""Log to `steps.csv` and `epochs.csv`, with a row for every step and epoch, and `result.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from alexnet.io.files import append_text, write_text
from alexnet.loggers.logger import LogResult, LogStart, Row, RowKind

FILES: dict[RowKind, str] = {"step": "steps.csv", "epoch": "epochs.csv"}


class CsvLogger:
    """A logger of two CSV tables, whose columns are those of their first row."""

    def __init__(self, folder: Path, start: LogStart) -> None:
        self._paths = {kind: folder / name for kind, name in FILES.items()}
        self._result = folder / "result.csv"
        self._columns = {k: _cut(path, start.last_steps[k]) for k, path in self._paths.items()}
        self._result.unlink(missing_ok=True)

    def log_rows(self, rows: Sequence[Row]) -> None:
        """Append the rows to their tables."""
        for kind, path in self._paths.items():
            if of_kind := [row for row in rows if row.kind == kind]:
                append_text(path, self._lines(kind, of_kind))

    def _lines(self, kind: RowKind, rows: Sequence[Row]) -> str:
        """The rows as CSV, after a header if the table has none."""
        columns, lines = self._columns[kind], []
        if not columns:
            columns = self._columns[kind] = ["step", *rows[0].values]
            lines.append(columns)
        for row in rows:
            values = {"step": row.step, **row.values}
            lines.append([repr(values[name]) if name in values else "" for name in columns])
        return _csv_text(lines)

    def log_result(self, result: LogResult) -> None:
        """Write the final figures."""
        lines = [list(result.metrics), [repr(value) for value in result.metrics.values()]]
        write_text(self._result, _csv_text(lines))

    def close(self, *, is_finished: bool) -> None:
        """Do nothing: every row is written already."""


def _cut(path: Path, step: int) -> list[str]:
    """Remove the rows after a step, and an incomplete last row; return the columns."""
    if not path.exists():
        return []
    text = path.read_text("utf-8", "replace")
    header, *rows = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))) or [[]]
    kept = [row for row in rows if row and row[0].isdecimal() and int(row[0]) <= step]
    write_text(path, _csv_text([header, *kept] if header else []))
    return header


def _csv_text(lines: Sequence[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(lines)
    return file.getvalue()
