"""Write the HTML report of one or more runs."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from alexnet.api.python_words import in_python
from alexnet.errors import UsageError
from alexnet.io.paths import FilePath, path_text
from alexnet.io.run_paths import find_run
from alexnet.keywords import check_keywords
from alexnet.reports import write_comparison, write_run_report
from alexnet.training.trainer import Run

RunPath: TypeAlias = "FilePath | Run"
"""A run folder, the name of a run in runs/, or the `Run` that `train` returned."""


@in_python
@check_keywords
def report(runs: RunPath | Sequence[RunPath], out: FilePath = "", *, open: bool = False) -> Path:
    """Write one page of HTML about a run, finished or not: `alexnet.report("runs/x")`.

    The page of several runs compares them with the first: `alexnet.report(["runs/a", "runs/b"])`.
    While a run is trained, `alexnet.reports.serving(Path("runs/x"))` serves its page.

    Args:
        runs: a run folder, the name of a run in runs/ or a `Run`; or several of them.
        out: the page; report.html in the run, or compare-A-B.html beside the first run, unless
            given.
        open: open the page in the browser.

    Returns:
        The path of the page.

    Raises:
        UsageError: a folder is not that of a training, or a run is named twice.
    """
    words = list(runs) if isinstance(runs, list | tuple) else [runs]
    paths = [_run_path(word) for word in words]
    target = Path(path_text(out, "out")) if out else None
    if len(paths) == 1:
        page = write_run_report(paths[0], target)
    else:
        page = write_comparison(paths, target)
    if open:
        webbrowser.open(page.resolve().as_uri())
    return page


def _run_path(run: object) -> Path:
    if isinstance(run, Run):
        return run.folder.path
    if isinstance(run, str | os.PathLike):
        return Path(find_run(path_text(run)))
    raise UsageError(f"a run is its folder, its name or a Run; not {type(run).__name__}")
