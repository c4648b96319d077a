"""The files of an evaluation: its tables and plots."""

from __future__ import annotations

from pathlib import Path

from alexnet import plots
from alexnet.evaluation.plots import confusion, top_losses
from alexnet.evaluation.reliability_plot import reliability_diagram
from alexnet.evaluation.results import Evaluation
from alexnet.evaluation.tables import write_evaluation_tables


def write_evaluation(evaluation: Evaluation, out: Path, run: str = "", net: str = "") -> None:
    """Write evaluation.json, top_losses.csv, and the plots confusion, reliability and top_losses.

    Args:
        evaluation: what is written.
        out: the folder.
        run: name of the run or of the model file, for the titles of the plots.
        net: name of the architecture, for the titles.
    """
    write_evaluation_tables(evaluation, out)
    title = confusion_title(evaluation, run, net)
    plots.save(confusion(evaluation, title), out / "confusion.png")
    title = reliability_title(evaluation, run, net)
    plots.save(reliability_diagram(evaluation.calibration, title), out / "reliability.png")
    if evaluation.top_losses:
        title = plots.run_title("Top losses", _title_parts(evaluation, run, net))
        plots.save(top_losses(evaluation, title), out / "top_losses.png")


def confusion_title(evaluation: Evaluation, run: str, net: str) -> str:
    """The title of a confusion matrix."""
    return plots.run_title("Confusion", _title_parts(evaluation, run, net))


def reliability_title(evaluation: Evaluation, run: str, net: str) -> str:
    """The title of a reliability diagram."""
    return plots.run_title("Reliability", _title_parts(evaluation, run, net))


def _title_parts(evaluation: Evaluation, run: str, net: str) -> tuple[str, str, str]:
    return run, ", ".join(filter(None, (evaluation.data, evaluation.split))), net
