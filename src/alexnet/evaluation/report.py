"""An evaluation as JSON and plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet import plots
from alexnet.config.serialization import json_rows, to_dict
from alexnet.evaluation.advice import evaluation_advice
from alexnet.evaluation.plots import confusion, top_losses
from alexnet.evaluation.reliability_plot import reliability_diagram
from alexnet.evaluation.results import Evaluation, TopLoss
from alexnet.io.files import write_text
from alexnet.io.text import LONE_SURROGATE, printable

MAX_CLASSES = 100
"""Up to which the whole confusion matrix is written: 1,000 classes would have a million counts."""


def evaluation_summary(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation for JSON.

    Precision, recall and F1 are null where they are fractions of no images. The intervals are 95 %
    confidence intervals, with the ends `low` and `high`.
    `confusion` is empty with more than MAX_CLASSES classes; `confusion_pairs` always has
    [label, predicted, count] for every pair that occurs. `top_losses` has those that are plotted.
    """
    counts = evaluation.confusion
    return {
        "data": evaluation.data,
        "split": evaluation.split,
        "num_images": evaluation.num_images,
        "crops": evaluation.crops,
        "top1_error": evaluation.top1_error,
        "top1_error_interval": to_dict(evaluation.top1_interval),
        "top5_error": evaluation.top5_error,
        "top5_error_interval": to_dict(evaluation.top5_interval),
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "advice": evaluation_advice(evaluation),
        "calibration": to_dict(evaluation.calibration),
        "class_names": list(evaluation.class_names),
        "classes_without_images": list(evaluation.classes_without_images),
        "per_class": [
            {**to_dict(score), "recall_interval": to_dict(score.recall_interval)}
            for score in evaluation.per_class
        ],
        "confusion": counts.tolist() if len(counts) <= MAX_CLASSES else [],
        "confusion_pairs": [[int(t), int(p), int(counts[t, p])] for t, p in np.argwhere(counts)],
        "most_confused": [
            {"label": label, "predicted": predicted, "count": count}
            for label, predicted, count in evaluation.most_confused
        ],
        "top_losses": [
            {
                "index": loss.index,
                "name": loss.name,
                "label": loss.label,
                "predicted": loss.predicted,
                "probability": loss.probability,
                "predicted_probability": loss.predicted_probability,
            }
            for loss in evaluation.top_losses
            if loss.image is not None
        ],
    }


def write_evaluation(evaluation: Evaluation, out: Path, run: str = "", net: str = "") -> None:
    """Write evaluation.json, confusion.png and reliability.png; with a mistake also top_losses.

    Args:
        evaluation: what is written.
        out: the folder.
        run: for the titles of the plots: the name of the run or of the model file.
        net: for the titles: the name of the architecture.
    """
    write_text(out / "evaluation.json", json_rows(evaluation_summary(evaluation)) + "\n")
    title = confusion_title(evaluation, run, net)
    plots.save(confusion(evaluation, title), out / "confusion.png")
    title = reliability_title(evaluation, run, net)
    plots.save(reliability_diagram(evaluation.calibration, title), out / "reliability.png")
    if evaluation.top_losses:
        write_top_losses(evaluation.top_losses, out / "top_losses.csv")
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


def write_top_losses(losses: Sequence[TopLoss], path: Path) -> None:
    """Write all misclassified images as CSV, highest loss first."""
    columns = ("index", "name", "label", "predicted", "probability", "predicted_probability")
    text = io.StringIO(newline="")
    rows = ([getattr(loss, column) for column in columns] for loss in losses)
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_text(path, LONE_SURROGATE.sub(lambda found: printable(found[0]), text.getvalue()))
