"""The temperature of a finished run's model, fitted on its validation split."""

from __future__ import annotations

from dataclasses import replace

from alexnet.evaluation.calibration import fit_temperature
from alexnet.evaluation.evaluator import predict_logits
from alexnet.reporter import ProgressCallback
from alexnet.training.setup import TrainingSetup


def calibrate(setup: TrainingSetup, on_progress: ProgressCallback) -> TrainingSetup:
    """The setup with the temperature that fits its network and validation images."""
    indices = setup.splits.val
    logits = predict_logits(setup.classifier(), setup.store, indices, on_progress)
    temperature = fit_temperature(logits, setup.store.labels[indices])
    info = replace(setup.info, temperature=temperature, num_temperature_images=len(indices))
    return replace(setup, info=info)
