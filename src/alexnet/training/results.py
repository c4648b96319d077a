"""What a finished run leaves for people and programs: `result.json` and pictures."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet import plots
from alexnet.config.serialization import json_text, to_dict
from alexnet.evaluation.plots import confusion
from alexnet.evaluation.report import evaluation_summary
from alexnet.evaluation.results import Evaluation
from alexnet.io.files import write_text
from alexnet.models.layers import Conv
from alexnet.records import EpochTimes
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import TrainingSetup
from alexnet.training.state import TrainState


def write_results(
    job: TrainingSetup, progress: TrainState, evaluation: Evaluation | None, folder: RunFolder
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
        plots.save(confusion(evaluation), folder.plots / "confusion.png")
    result = {
        "epochs": len(history),
        "training_seconds": sum(t.elapsed_seconds for t in times),
        "data_wait_fraction": _waiting_share(times),
        "rejected": to_dict(job.store.info.rejected),
        "test": evaluation_summary(evaluation) if evaluation else None,
    }
    folder.write_epochs(history, times)
    write_text(folder.result, json_text(result) + "\n")


def _waiting_share(times: Sequence[EpochTimes]) -> float:
    """Share of all training time spent waiting for data, 0 to 1."""
    weights = [1 / t.images_per_second for t in times]
    return sum(w * t.data_wait_fraction for w, t in zip(weights, times, strict=True)) / sum(weights)
