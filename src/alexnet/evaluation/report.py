"""The files of an evaluation: JSON, CSV and plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from alexnet import plots
from alexnet.config.serialization import json_document
from alexnet.evaluation.plots import confusion, top_losses
from alexnet.evaluation.reliability_plot import reliability_diagram
from alexnet.evaluation.results import Evaluation, TopLoss
from alexnet.evaluation.summary import summarize_evaluation
from alexnet.io.files import write_text
from alexnet.io.text import LONE_SURROGATE, printable


def write_evaluation(evaluation: Evaluation, out: Path, run: str = "", net: str = "") -> None:
    """Write evaluation.json, top_losses.csv, and the plots confusion, reliability and top_losses.

    Args:
        evaluation: what is written.
        out: the folder.
        run: for the titles of the plots: the name of the run or of the model file.
        net: for the titles: the name of the architecture.
    """
    write_evaluation_tables(evaluation, out)
    title = confusion_title(evaluation, run, net)
    plots.save(confusion(evaluation, title), out / "confusion.png")
    title = reliability_title(evaluation, run, net)
    plots.save(reliability_diagram(evaluation.calibration, title), out / "reliability.png")
    if evaluation.top_losses:
        title = plots.run_title("Top losses", _title_parts(evaluation, run, net))
        plots.save(top_losses(evaluation, title), out / "top_losses.png")


def write_evaluation_tables(evaluation: Evaluation, out: Path) -> None:
    """Write evaluation.json and top_losses.csv, the prediction for every image."""
    write_text(out / "evaluation.json", json_document(summarize_evaluation(evaluation)) + "\n")
    if evaluation.top_losses:
        write_top_losses(evaluation.top_losses, out / "top_losses.csv")


def confusion_title(evaluation: Evaluation, run: str, net: str) -> str:
    """The title of a confusion matrix."""
    return plots.run_title("Confusion", _title_parts(evaluation, run, net))


def reliability_title(evaluation: Evaluation, run: str, net: str) -> str:
    """The title of a reliability diagram."""
    return plots.run_title("Reliability", _title_parts(evaluation, run, net))


def _title_parts(evaluation: Evaluation, run: str, net: str) -> tuple[str, str, str]:
    return run, ", ".join(filter(None, (evaluation.data, evaluation.split))), net


def write_top_losses(losses: Sequence[TopLoss], path: Path) -> None:
    """Write the images of an evaluation as CSV, highest loss first."""
    columns = (
        "index", "name", "label", "predicted", "probability", "predicted_probability", "loss",
        "is_correct",
    )  # fmt: skip
    text = io.StringIO(newline="")
    rows = ([getattr(loss, column) for column in columns] for loss in losses)
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_text(path, LONE_SURROGATE.sub(lambda found: printable(found[0]), text.getvalue()))
