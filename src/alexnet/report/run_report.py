"""The page of a run, written as one file."""

from __future__ import annotations

from pathlib import Path

from alexnet.io.files import write_text
from alexnet.io.text import error_text
from alexnet.pages.page import render_page
from alexnet.report.report_content import report_content
from alexnet.report.stored_run import read_run
from alexnet.reporter import NullReporter, Reporter
from alexnet.training.run_folder import RunFolder

TEMPLATES = Path(__file__).parent / "templates"


def write_run_report(run: Path, out: Path | None = None) -> Path:
    """Write the page of a run, finished or not; `report.html` in its folder unless `out` is given.

    Raises:
        UsageError: the folder is not that of a training.
        OSError: the page cannot be written.
    """
    page = render_page(TEMPLATES, "run_report", report_content(read_run(run)), shared="charts")
    path = out or RunFolder(run).report
    write_text(path, page)
    return path


def write_report_at_end(run: Path, reporter: Reporter | None = None) -> Path | None:
    """As `write_run_report` of a training that has just ended, which it does not fail.

    A page that cannot be written is a note; None then.
    """
    try:
        return write_run_report(run)
    except Exception as error:  # the training is done, whatever is wrong with its page
        (reporter or NullReporter()).note(
            f"no report.html: {error_text(error)}; alexnet report {run} tries again"
        )
        return None
