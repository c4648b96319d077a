"""The page of a run, written as one file."""

from __future__ import annotations

from pathlib import Path

from alexnet.io.files import write_text
from alexnet.pages.page import render_page
from alexnet.report.report_content import report_content
from alexnet.report.stored_run import read_run

TEMPLATES = Path(__file__).parent / "templates"
REPORT_NAME = "report.html"


def write_run_report(run: Path, out: Path | None = None) -> Path:
    """Write the page of a run, finished or not; `report.html` in its folder unless `out` is given.

    Raises:
        UsageError: the folder is not that of a training.
        OSError: the page cannot be written.
    """
    page = render_page(TEMPLATES, "run_report", report_content(read_run(run)))
    path = out or run / REPORT_NAME
    write_text(path, page)
    return path
