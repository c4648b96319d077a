"""`alexnet report`: a run as one page of HTML, several runs side by side, a running one live."""

from __future__ import annotations

import threading
import time
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from alexnet.cli.console import note, print_json
from alexnet.cli.flags import parse, with_run
from alexnet.errors import UsageError, require
from alexnet.io.run_paths import DEFAULT_FOLDER, is_run
from alexnet.io.text import printable

POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """One page of HTML about a run, finished or not; or about several runs, compared.

    The page is one file that needs no network. What is no longer there, such as the data, is named
    on the page.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ..")] = ()
    """Run folders; several are compared with the first."""
    out: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """The page; report.html in the run, or compare-A-B.html beside the first run, unless given."""
    open: bool = False
    """Open the page in the browser."""
    watch: bool = False
    """Serve the page of a running training on this machine alone, and refresh it after every
    epoch, until Ctrl-C. Waits for a training whose folder is not there yet."""
    port: int = 0
    """Port of --watch; 0: any free one."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Write the page and print its path, or serve it."""
    flags = parse(ReportFlags, arguments, "report")
    require(bool(flags.runs), "name a run folder, such as those in alexnet runs", UsageError)
    if flags.watch:
        return _watch(flags)
    paths = [Path(run) for run in with_run(flags, "runs").runs]
    from alexnet.reports import write_comparison, write_run_report

    out = Path(flags.out) if flags.out else None
    page = write_run_report(paths[0], out) if len(paths) == 1 else write_comparison(paths, out)
    _print_page(page, paths, flags.json)
    if flags.open:
        webbrowser.open(page.resolve().as_uri())
    return 0


def _print_page(page: Path, paths: Sequence[Path], as_json: bool) -> None:
    if not as_json:
        print(printable(str(page)))
        return
    from alexnet.cli.outputs.report import report_output
    from alexnet.reports.stored_run import read_run

    runs = [read_run(path) for path in paths]
    print_json(report_output(str(page), page.stat().st_size, runs))


def _watch(flags: ReportFlags) -> int:
    """Serve the page until Ctrl-C."""
    require(len(flags.runs) == 1, "--watch serves the page of one run; name one", UsageError)
    require(not flags.json, "--watch serves a page until Ctrl-C; leave out --json", UsageError)
    require(not flags.out, "--watch writes no file; leave out --out", UsageError)
    from alexnet.reports import serving

    try:
        with serving(_existing_run(flags.runs[0]), flags.port) as address:
            print(address, flush=True)
            note("Ctrl-C ends it; the training goes on without it")
            if flags.open:
                webbrowser.open(address)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    return 0


def _existing_run(word: str) -> Path:
    """Wait until a run's folder exists, and return its path; `word` is a path or the run's name."""
    places = (Path(word), DEFAULT_FOLDER / word)
    if not any(place.exists() for place in places):
        note(f"waiting for a training into {word}; Ctrl-C ends it")
        while not any(map(is_run, places)):
            time.sleep(POLL_SECONDS)
    return next(place for place in places if place.exists())
