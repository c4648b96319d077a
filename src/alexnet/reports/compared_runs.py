"""The page that compares runs: errors, curves, recipes, and tests on the same images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.config.recipe_changes import flag_text, recipe_changes
from alexnet.errors import UsageError, require
from alexnet.evaluation.paired import Comparison, compare_errors
from alexnet.io.files import write_text
from alexnet.io.text import shell_command
from alexnet.pages.page import render_page
from alexnet.reports.curves import SPLIT_NAMES, compared_charts
from alexnet.reports.report_content import Headline, headline
from alexnet.reports.run_report import TEMPLATES
from alexnet.reports.shown_paths import without_folders
from alexnet.reports.stored_run import StoredRun, read_run

MAX_RUNS = 24


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """A row of the table of runs."""

    name: str
    headline: Headline
    arch: str
    data: str
    loss: float | None
    epochs: int
    minutes: float


def write_comparison(paths: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of several runs; `compare-A-B.html` beside the first unless `out` is given.

    Raises:
        UsageError: there are fewer than 2 or more than 24 runs, a run is named twice, or a folder
            is not that of a training.
        OSError: the page cannot be written.
    """
    require(1 < len(paths) <= MAX_RUNS, f"name 2 to {MAX_RUNS} runs to compare", UsageError)
    runs = {name: read_run(path) for name, path in run_names(paths).items()}
    page = render_page(TEMPLATES, "compared_runs", comparison_content(runs), shared="charts")
    path = out or _default_path(paths, list(runs))
    write_text(path, without_folders(page, runs.values()))
    return path


def run_names(paths: Sequence[Path]) -> dict[str, Path]:
    """The paths by the names of their folders, or by whole paths if two folders share a name.

    Raises:
        UsageError: a run is named twice.
    """
    resolved = [path.resolve() for path in paths]
    require(len(set(resolved)) == len(paths), "a run is named twice", UsageError)
    names = [path.name for path in resolved]
    if len(set(names)) < len(names):
        names = [os.path.normpath(path) for path in paths]
    return dict(zip(names, paths, strict=True))


def _default_path(paths: Sequence[Path], names: Sequence[str]) -> Path:
    shown = [Path(name).name for name in names[:2]]
    more = f"-and-{len(names) - 2}-more" if len(names) > 2 else ""
    return paths[0].resolve().parent / f"compare-{'-'.join(shown)}{more}.html"


def comparison_content(runs: Mapping[str, StoredRun]) -> dict[str, Any]:
    """The variables of `compared_runs.html`."""
    comparison, missing = paired_comparison(runs)
    recipes = [run.recipe for run in runs.values() if run.recipe]
    has_all = len(recipes) == len(runs)
    return {
        "runs": [compared_run(name, run) for name, run in runs.items()],
        "charts_of_runs": compared_charts({name: run.history for name, run in runs.items()}),
        "changes": [
            (change.flag, [flag_text(value) for value in change.values])
            for change in (recipe_changes(recipes) if has_all else [])
        ],
        "has_recipes": has_all,
        "comparison": comparison,
        "split": SPLIT_NAMES.get(comparison.split, comparison.split) if comparison else "",
        "missing": missing,
    }


def compared_run(name: str, run: StoredRun) -> ComparedRun:
    """The row of a run."""
    return ComparedRun(
        name=name,
        headline=headline(run),
        arch=run.architecture.name if run.architecture else run.summary.arch,
        data=run.recipe.data if run.recipe else run.summary.data,
        loss=run.evaluation.loss if run.evaluation else None,
        epochs=len(run.history),
        minutes=sum(t.elapsed_seconds for t in run.times) / 60,
    )


def paired_comparison(runs: Mapping[str, StoredRun]) -> tuple[Comparison | None, str]:
    """The paired tests on the same images, and "" or the reason why there are none."""
    without = [run for run in runs.values() if not run.predictions]
    if without:
        commands = "; ".join(run.evaluate_command for run in without)
        return (
            None,
            f"paired tests need all predictions of every run, written by: {commands}",
        )
    tables = {name: _outcomes(run) for name, run in runs.items()}
    (first, images), *others = ((name, sorted(table)) for name, table in tables.items())
    if different := [name for name, other in others if other != images]:
        command = shell_command(["alexnet", "compare", *(str(run.path) for run in runs.values())])
        return None, (
            f"{different[0]} was evaluated on other images than {first}, so their errors are not "
            f"paired; {command} --data DATA evaluates all on the same"
        )
    wrong = {name: np.array([table[one] for one in images]) for name, table in tables.items()}
    evaluation = next(iter(runs.values())).evaluation
    data, split = (evaluation.data, evaluation.split) if evaluation else ("", "")
    return compare_errors(wrong, data=data, split=split), ""


def _outcomes(run: StoredRun) -> dict[tuple[str, int, str, str], bool]:
    """Whether each image is misclassified, by (data, index, name, label), which identify it."""
    assert run.evaluation is not None  # predictions belong to one
    names = run.evaluation.class_names
    data = run.evaluation.data
    return {
        (data, one.index, one.name, names[one.label]): not one.is_correct for one in run.predictions
    }
