"""`alexnet runs`: the runs in a folder as a table; `runs clean` and `runs remove`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import tyro

from alexnet.cli.console import NOT_YET, note, percent, print_json, size_text, table
from alexnet.cli.flags import parse, with_run
from alexnet.cli.outputs.runs import RunsOutput, removal_output
from alexnet.errors import UsageError, require
from alexnet.io.run_paths import DEFAULT_FOLDER
from alexnet.io.text import count_text, printable
from alexnet.training.run_cleaning import find_leftovers, named_runs, remove
from alexnet.training.run_index import RunSummary, list_runs

RUNS = str(DEFAULT_FOLDER)
Column: TypeAlias = Literal[
    "name", "data", "net", "epochs", "error", "test", "when", "size", "state"
]  # fmt: skip
HEADER = (
    "name", "data", "net", "epochs", "best error", "test error", "when", "size", "state",
)  # fmt: skip
LAST = (True,)
"""The sort key of a run without a value."""
SORT_KEYS: dict[str, Callable[[RunSummary], Any]] = {
    "name": lambda run: run.name,
    "data": lambda run: run.data,
    "net": lambda run: run.arch,
    "epochs": lambda run: -run.epochs,
    "error": lambda run: LAST if run.best_error is None else (False, run.best_error),
    "test": lambda run: LAST if run.test_error is None else (False, run.test_error),
    "when": lambda run: -datetime.fromisoformat(run.changed_at).timestamp(),
    "size": lambda run: -run.size_bytes,
    "state": lambda run: run.state,
}


def run(arguments: Sequence[str]) -> int:
    """List the runs, or run the action that the first word names."""
    action = ACTIONS.get(arguments[0] if arguments else "")
    return action(arguments[1:]) if action else list_action(arguments)


@dataclass(frozen=True, kw_only=True)
class RunsFlags:
    """The runs in a folder.

    Also: `alexnet runs clean [FOLDER]` removes what failed and finished runs left behind, and
    `alexnet runs remove RUN ..` removes runs.
    """

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[FOLDER]")] = RUNS
    """A folder of run folders, or a run folder."""
    sort: Column = "when"
    """Column to sort by: errors from the lowest, epochs, time and size from the highest."""
    json: bool = False
    """Print JSON."""


def list_action(arguments: Sequence[str]) -> int:
    """Print the table."""
    flags = parse(RunsFlags, arguments, "runs")
    folder = Path(flags.folder)
    is_new = folder == DEFAULT_FOLDER and not folder.exists()
    runs = [] if is_new else sorted(list_runs(folder), key=SORT_KEYS[flags.sort])
    if flags.json:
        print_json(RunsOutput(runs=tuple(runs)))
    elif not runs:
        print(f"no runs in {printable(flags.folder)}; alexnet train starts one")
    else:
        print(_text(runs))
    return 0


def _text(runs: Sequence[RunSummary]) -> str:
    """The table as text, the problems of damaged runs, and the totals."""
    lines = [table(HEADER, [_cells(run) for run in runs], left=3), ""]
    lines += [printable(f"{run.name}: {run.problem}") for run in runs if run.problem]
    count = f"{len(runs):,} run{'s' if len(runs) > 1 else ''}"
    lines.append(f"{count}, {size_text(sum(run.size_bytes for run in runs))}")
    return "\n".join(lines)


def _cells(run: RunSummary) -> tuple[str, ...]:
    best, test = percent(run.best_error), percent(run.test_error)
    planned = "-" if run.planned_epochs is None else run.planned_epochs
    data = Path(run.data).name or run.data
    return (
        run.name,
        data,
        run.arch if run.kind == "training" else f"{run.arch} ({run.kind})",
        f"{run.epochs}/{planned}",
        best if run.best_split is None else f"{best} {run.best_split}",
        test if run.num_test_images is None else f"{test} of {run.num_test_images:,}",
        datetime.fromisoformat(run.changed_at).astimezone().strftime("%Y-%m-%d %H:%M"),
        size_text(run.size_bytes),
        run.state,
    )


@dataclass(frozen=True, kw_only=True)
class CleanFlags:
    """Remove what failed and finished runs left behind.

    These are the states of finished runs, which only more epochs need, their temporary files, and
    runs that ended before their first epoch and checkpoint. Models, and runs that can be resumed,
    stay.
    """

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[FOLDER]")] = RUNS
    """A folder of run folders, or a run folder."""
    yes: bool = False
    """Remove it; unless given, it is only listed."""
    dry_run: bool = False
    """Only list what would be removed, as without --yes."""
    json: bool = False
    """Print JSON."""


def clean_action(arguments: Sequence[str]) -> int:
    """List the leftovers, or remove them; the exit code is 1 if one could not be removed."""
    flags = parse(CleanFlags, arguments, "runs clean")
    found = find_leftovers(Path(flags.folder))
    rows = [(one.path, one.reason, one.size_bytes) for one in found]
    return _remove_all(rows, flags.yes and not flags.dry_run, flags.json)


@dataclass(frozen=True, kw_only=True)
class RemoveFlags:
    """Remove runs with their models, finished or not."""

    run: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ..")]
    """Run folders, or the names of runs in runs/."""
    yes: bool = False
    """Remove them; unless given, they are only listed."""
    dry_run: bool = False
    """Only list what would be removed, as without --yes."""
    json: bool = False
    """Print JSON."""


def remove_action(arguments: Sequence[str]) -> int:
    """List the named runs, or remove them; the exit code is 1 if one could not be removed."""
    flags = with_run(parse(RemoveFlags, arguments, "runs remove"), "run")
    require(len(flags.run) > 0, "name the run folders to remove", UsageError)
    rows = [
        (one.path, f"{one.state}, {count_text(one.epochs, 'epoch')}", one.size_bytes)
        for one in named_runs([Path(path) for path in flags.run])
    ]
    return _remove_all(rows, flags.yes and not flags.dry_run, flags.json)


def _remove_all(rows: Sequence[tuple[str, str, int]], is_sure: bool, as_json: bool) -> int:
    """Remove files and folders if `is_sure`, and print them; return the exit code."""
    problems = [problem for path, _, _ in rows if is_sure and (problem := remove(Path(path)))]
    if as_json:
        print_json(removal_output(rows, is_sure, problems))
    elif not rows:
        print("nothing to remove")
    else:
        cells = [(path, reason, size_text(size)) for path, reason, size in rows]
        verb = "removed" if is_sure else "to remove"
        print(table((verb, "what it is", "size"), cells, left=2))
    if rows and not is_sure:
        note(NOT_YET)
    for problem in problems:
        note(problem)
    return int(bool(problems))


ACTIONS: dict[str, Callable[[Sequence[str]], int]] = {
    "clean": clean_action,
    "remove": remove_action,
}
