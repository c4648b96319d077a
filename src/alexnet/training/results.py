"""What a finished run leaves for people and programs: `result.json` and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet import plots
from alexnet.config.serialization import json_text, to_plain
from alexnet.data.store.store import Store
from alexnet.evaluation.evaluator import Evaluation
from alexnet.io.files import write_text
from alexnet.models.layers import Conv
from alexnet.records import EpochTimes
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import Job
from alexnet.training.state import Progress

MOST_CLASSES = 1000
"""Of a whole confusion matrix in JSON: 4,000 classes would take 180 MB."""


def write_results(
    job: Job, progress: Progress, evaluation: Evaluation | None, folder: RunFolder
) -> None:
    """Draw learning curves, confusion matrix and first-layer filters, then write `result.json`.

    That file comes last: a run with it has ended, and everything else is there.
    """
    history, times = progress.history, progress.times
    plots.save(plots.learning_curves(history), folder.plots / "learning_curves.png")
    first = next(layer for layer in job.network.architecture.layers if isinstance(layer, Conv))
    filters = job.network.get_parameter(f"{first.name}.weight")
    plots.save(plots.filters(filters), folder.plots / "filters.png")
    if evaluation:
        plots.save(plots.confusion(evaluation), folder.plots / "confusion.png")
    result = {
        "epochs": len(history),
        "training_seconds": sum(t.elapsed_seconds for t in times),
        "waiting_share": _waiting_share(times),
        "refused": to_plain(job.store.info.refused),
        "test": evaluation_summary(evaluation) if evaluation else None,
    }
    folder.write_epochs(history, times)
    write_text(folder.result, json_text(result) + "\n")


def _waiting_share(times: Sequence[EpochTimes]) -> float:
    """Share of all training time spent waiting for data, 0 to 1."""
    weights = [1 / t.images_per_second for t in times]
    return sum(w * t.waiting_share for w, t in zip(weights, times, strict=True)) / sum(weights)


def evaluation_summary(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON: errors, loss, per-class figures, confusion, mistakes.

    `confusion` is empty where it would be huge; `confusion_pairs` has [true, predicted, pictures]
    for every pair that occurs.
    """
    counts = evaluation.confusion
    return {
        "pictures": evaluation.pictures,
        "views": evaluation.views,
        "top1_error": evaluation.top1_error,
        "top5_error": evaluation.top5_error,
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "classes": list(evaluation.classes),
        "per_class": to_plain(evaluation.per_class),
        "confusion": counts.tolist() if len(counts) <= MOST_CLASSES else [],
        "confusion_pairs": [[int(t), int(p), int(counts[t, p])] for t, p in np.argwhere(counts)],
        "most_confused": [
            {"label": label, "predicted": predicted, "pictures": count}
            for label, predicted, count in evaluation.most_confused
        ],
        "worst": to_plain(evaluation.worst),
    }


def write_evaluation(result: Evaluation, store: Store, out: Path) -> None:
    """Write evaluation.json, confusion.png and, where there are mistakes, worst.png."""
    write_text(
        out / "evaluation.json",
        json_text(evaluation_summary(result)) + "\n",
    )
    plots.save(plots.confusion(result), out / "confusion.png")
    if result.worst:
        plots.save(plots.worst(result, store.images), out / "worst.png")
