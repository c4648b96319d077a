"""The tables of an evaluation: JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from alexnet.config.serialization import json_document
from alexnet.evaluation.results import Evaluation, TopLoss
from alexnet.evaluation.summary import summarize_evaluation
from alexnet.io.files import write_text
from alexnet.io.text import LONE_SURROGATE, printable


def write_evaluation_tables(evaluation: Evaluation, out: Path) -> None:
    """Write evaluation.json and top_losses.csv, the prediction for every image."""
    write_text(out / "evaluation.json", json_document(summarize_evaluation(evaluation)) + "\n")
    if evaluation.top_losses:
        write_top_losses(evaluation.top_losses, out / "top_losses.csv")


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
