"""A run, and a range test, as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet.evaluation.html import error_facts
from alexnet.evaluation.intervals import percent_with_interval
from alexnet.io.html import facts, panel, picture
from alexnet.io.text import count_text
from alexnet.plots import figure_bytes, learning_curves

if TYPE_CHECKING:
    from alexnet.training.lr_finder import LRRangeTest
    from alexnet.training.trainer import Run

DPI = 72
"""Resolution of the learning curves, in dots per inch."""


def run_html(run: Run) -> str:
    """A run as HTML: its state, its errors with 95 % intervals, and its learning curves."""
    parts = [facts(_run_facts(run))]
    if run.history:
        figure = learning_curves(run.history)
        parts.append(picture(figure_bytes(figure, dpi=DPI), "learning curves"))
    return panel(str(run.folder.path), parts)


def range_test_html(test: LRRangeTest) -> str:
    """A range test as HTML: the suggested learning rate, and the curve."""
    suggestion = f"lr={test.suggestion:.2g}" if test.suggestion else "none: no loss falls clearly"
    curve = picture(figure_bytes(test.plot(), dpi=DPI), "loss over the learning rate")
    return panel("Learning-rate range test", [facts([("suggested", suggestion)]), curve])


def _run_facts(run: Run) -> list[tuple[str, str]]:
    minutes = sum(times.elapsed_seconds for times in run.times) / 60
    state = "" if run.is_finished else f"; resume with alexnet.resume({str(run.folder.path)!r})"
    found = [("trained", f"{count_text(len(run.history), 'epoch')} in {minutes:.1f} min{state}")]
    if best := run.validation:
        error = percent_with_interval(best.top1_error, best.num_images)
        found.append(("validation error", f"{error}, of epoch {best.epoch}, the best"))
    if test := run.evaluation:
        found += [(f"test {name}", value) for name, value in error_facts(test)]
    return [*found, ("model", str(run.folder.model))]
