"""An evaluation as JSON and plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from alexnet import plots
from alexnet.config.serialization import json_text, to_dict
from alexnet.evaluation.plots import confusion, top_losses
from alexnet.evaluation.results import Evaluation
from alexnet.io.files import write_text

MAX_CLASSES = 1000
"""Up to which the whole confusion matrix is written: with 4,000 classes it would take 180 MB."""


def evaluation_summary(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation for JSON.

    Precision, recall and F1 are null where they are fractions of no images. The intervals are 95 %
    confidence intervals, with the ends `low` and `high`.
    `confusion` is empty with more than MAX_CLASSES classes; `confusion_pairs` always has
    [label, predicted, count] for every pair that occurs.
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
            }
            for loss in evaluation.top_losses
        ],
    }


def write_evaluation(evaluation: Evaluation, out: Path) -> None:
    """Write evaluation.json, confusion.png and, if an image is misclassified, top_losses.png."""
    write_text(out / "evaluation.json", json_text(evaluation_summary(evaluation)) + "\n")
    plots.save(confusion(evaluation), out / "confusion.png")
    if evaluation.top_losses:
        plots.save(top_losses(evaluation), out / "top_losses.png")
