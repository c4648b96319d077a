"""What a finished run leaves for people and programs: `result.json` and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet import plots
from alexnet.data.files import write_text
from alexnet.data.store import Store
from alexnet.evaluation import Evaluation
from alexnet.job import Job
from alexnet.layer_kinds import Conv
from alexnet.records import EpochRecord
from alexnet.runs import RunFolder
from alexnet.values import json_text, to_plain


def write_results(
    job: Job, history: Sequence[EpochRecord], evaluation: Evaluation | None, folder: RunFolder
) -> None:
    """Draw learning curves, confusion matrix and first-layer filters, then write `result.json`."""
    plots.save(plots.learning_curves(history), folder.plots / "learning_curves.png")
    first = next(layer for layer in job.network.architecture.layers if isinstance(layer, Conv))
    filters = job.network.get_parameter(f"{first.name}.weight")
    plots.save(plots.filters(filters), folder.plots / "filters.png")
    if evaluation:
        plots.save(plots.confusion(evaluation), folder.plots / "confusion.png")
    result = {
        "epochs": len(history),
        "training_seconds": sum(r.elapsed_seconds for r in history),
        "waiting_share": _waiting_share(history),
        "refused": to_plain(job.store.info.refused),
        "test": evaluation_summary(evaluation) if evaluation else None,
    }
    write_text(folder.result, json_text(result) + "\n")


def _waiting_share(history: Sequence[EpochRecord]) -> float:
    """Share of all training time spent waiting for data, 0 to 1."""
    weights = [1 / r.images_per_second for r in history]
    return sum(w * r.waiting_share for w, r in zip(weights, history, strict=True)) / sum(weights)


def evaluation_summary(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON: errors, loss, per-class figures, confusion, mistakes."""
    return {
        "pictures": evaluation.pictures,
        "views": evaluation.views,
        "top1_error": evaluation.top1_error,
        "top5_error": evaluation.top5_error,
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "classes": list(evaluation.classes),
        "per_class": to_plain(evaluation.per_class),
        "confusion": evaluation.confusion.tolist(),
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
