"""An evaluation as JSON and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from alexnet import plots
from alexnet.config.serialization import json_text, to_dict
from alexnet.data.store.store import Store
from alexnet.evaluation.plots import confusion, worst
from alexnet.evaluation.results import Evaluation
from alexnet.io.files import write_text

MOST_CLASSES = 1000
"""Of a whole confusion matrix in JSON: 4,000 classes would take 180 MB."""


def evaluation_summary(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON: errors, loss, per-class figures, confusion, mistakes.

    `confusion` is empty where it would be huge; `confusion_pairs` has [true, predicted, count]
    for every pair that occurs.
    """
    counts = evaluation.confusion
    return {
        "num_images": evaluation.num_images,
        "crops": evaluation.crops,
        "top1_error": evaluation.top1_error,
        "top5_error": evaluation.top5_error,
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "class_names": list(evaluation.class_names),
        "per_class": to_dict(evaluation.per_class),
        "confusion": counts.tolist() if len(counts) <= MOST_CLASSES else [],
        "confusion_pairs": [[int(t), int(p), int(counts[t, p])] for t, p in np.argwhere(counts)],
        "most_confused": [
            {"label": label, "predicted": predicted, "count": count}
            for label, predicted, count in evaluation.most_confused
        ],
        "top_losses": to_dict(evaluation.top_losses),
    }


def write_evaluation(result: Evaluation, store: Store, out: Path) -> None:
    """Write evaluation.json, confusion.png and, where there are mistakes, worst.png."""
    write_text(
        out / "evaluation.json",
        json_text(evaluation_summary(result)) + "\n",
    )
    plots.save(confusion(result), out / "confusion.png")
    if result.top_losses:
        plots.save(
            worst(result, store.images([loss.index for loss in result.top_losses])),
            out / "worst.png",
        )
