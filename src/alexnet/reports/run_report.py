"""Write the page of a run as one file."""

from __future__ import annotations

from pathlib import Path

from alexnet.io.files import write_text
from alexnet.io.text import error_text
from alexnet.pages.page import render_page
from alexnet.parallel.world import current_world
from alexnet.reporter import Reporter
from alexnet.reports.report_content import report_content
from alexnet.reports.shown_paths import without_folders
from alexnet.reports.stored_run import read_run
from alexnet.training.results import RunResult
from alexnet.training.run_folder import RunFolder
from alexnet.training.trainer import Run

TEMPLATES = Path(__file__).parent / "templates"


def write_run_report(run: Path, out: Path | None = None, result: RunResult | None = None) -> Path:
    """Write the page of a run, finished or not; `report.html` in its folder unless `out` is given.

    Args:
        run: the run folder.
        out: the path of the page.
        result: the result of a run whose `result.json` is not written yet.

    Raises:
        UsageError: the folder is not that of a training.
        OSError: the page cannot be written.
    """
    stored = read_run(run, result)
    page = render_page(TEMPLATES, "run_report", report_content(stored), shared="charts")
    path = out or RunFolder(run).report
    write_text(path, without_folders(page, [stored]))
    return path


def save_page(run: Path, result: RunResult | None, reporter: Reporter) -> Path | None:
    """Write the page of a run at the end of its training, as `write_run_report` does.

    If it cannot be written, the reporter gets a note and the function returns None.
    """
    try:
        return write_run_report(run, result=result)
    except Exception as error:  # the training is done, whatever is wrong with its page
        reporter.note(f"no report.html: {error_text(error)}; alexnet report {run} tries again")
        return None


def page_of(run: Run, reporter: Reporter) -> Path | None:
    """The path of the page of a run that was trained with `save_page`; None if writing it failed.

    The page of a run that was stopped by --max-minutes is written now.
    """
    path = run.folder.report
    if not run.is_finished and current_world().is_main:
        return save_page(run.folder.path, None, reporter)
    return path if path.exists() else None
