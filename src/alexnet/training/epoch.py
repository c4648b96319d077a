"""The end of an epoch: evaluation, its record, and checks of both."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from alexnet.config.recipe import Recipe, StoppingOptions
from alexnet.errors import DivergedError
from alexnet.evaluation.evaluator import evaluate_images
from alexnet.evaluation.results import Evaluation, NonfiniteOutputError
from alexnet.records import EpochRecord
from alexnet.reporter import Reporter
from alexnet.training.advice import chance_advice, chance_class_counts, is_first_at_chance
from alexnet.training.checkpointing import CheckpointManager
from alexnet.training.setup import TrainingSetup
from alexnet.training.state import TrainState

BY_REPORTER = "by the reporter (StopTraining)"
"""The reason that is told where a reporter, and no option, ends a run."""


def epoch_record(
    setup: TrainingSetup, state: TrainState, checkpoints: CheckpointManager
) -> EpochRecord:
    """Evaluate the network after an epoch's last step, and collect the epoch's figures.

    Raises:
        DivergedError: an output for the evaluated split is not finite.
        TrainingInterrupted: a signal asked to stop; a checkpoint is saved.
    """
    setup.gather()
    metrics, last, split = state.metrics, state.last_step, setup.eval_split
    evaluation = evaluate_split(setup, split, state, checkpoints)
    return EpochRecord(
        epoch=state.epoch + 1,
        step=state.step,
        lr=last.lr,
        layers=last.layers,
        train_loss=metrics.mean_loss,
        train_top1_error=metrics.top1_error,
        train_top5_error=metrics.top5_error,
        eval_split=split,
        eval_loss=evaluation.loss if evaluation else None,
        eval_top1_error=evaluation.top1_error if evaluation else None,
        eval_top5_error=evaluation.top5_error if evaluation else None,
    )


def evaluate_split(
    setup: TrainingSetup, split: str | None, state: TrainState, checkpoints: CheckpointManager
) -> Evaluation | None:
    """Evaluate the network as it is now on "val" or "test"; None if that has no images.

    Raises:
        DivergedError: an output is not finite.
        TrainingInterrupted: a signal asked to stop; a checkpoint is saved.
    """
    indices = setup.splits.val if split == "val" else setup.splits.test
    if not len(indices):
        return None
    try:
        return evaluate_images(
            setup.classifier(),
            setup.store,
            indices,
            split=split or "",
            on_progress=lambda done, total: checkpoints.stop_if_asked(state),
        )
    except NonfiniteOutputError as error:
        raise not_finite(f"the {split} output", state) from error


def check_weights(state: TrainState) -> None:
    """Stop if the last update broke the weights, which no training loss shows yet.

    Raises:
        DivergedError: a weight is not finite.
    """
    for layer in state.last_step.layers:
        if not math.isfinite(layer.weight):
            raise not_finite(layer.name, state)


def not_finite(what: str, state: TrainState) -> DivergedError:
    """The error for a value that is not finite after a step."""
    return DivergedError(f"{what} is not finite after step {state.step}; try a lower --lr")


def has_ended(recipe: Recipe, history: Sequence[EpochRecord]) -> bool:
    """Whether all epochs are done, or the run ends before."""
    return len(history) >= recipe.epochs or bool(reason_to_stop(recipe.stopping, history))


def reason_to_stop(stopping: StoppingOptions, history: Sequence[EpochRecord]) -> str:
    """Why a run ends after its newest epoch even if others are planned; "" if it does not."""
    if not history:
        return ""
    target, error = stopping.target_train_error, history[-1].train_top1_error
    if target is not None and error <= target:
        return f"the training error is {100 * error:.1f} % (--target-train-error {target:g})"
    waited = epochs_since_best(history)
    if stopping.patience is not None and waited >= stopping.patience:
        return (
            f"no validation error has been below that of epoch {len(history) - waited} "
            f"for {waited} epoch{'s' * (waited > 1)} (--patience {stopping.patience})"
        )
    return ""


def reason_for_fewer_epochs(recipe: Recipe, history: Sequence[EpochRecord]) -> str:
    """Why a finished run ended before its last planned epoch; "" if it did not."""
    if not 0 < len(history) < recipe.epochs:
        return ""
    return reason_to_stop(recipe.stopping, history) or BY_REPORTER


def epochs_since_best(history: Sequence[EpochRecord]) -> int:
    """Number of epochs since the first one with the lowest validation error; 0 without one."""
    errors = [r.val_top1_error for r in history if r.val_top1_error is not None]
    return len(errors) - 1 - errors.index(min(errors)) if errors else 0


def warn_if_at_chance(
    setup: TrainingSetup, history: Sequence[EpochRecord], reporter: Reporter
) -> None:
    """Note, once in a run, that the training error has been at chance level for three epochs."""
    counts, names = training_class_counts(setup), setup.info.class_names
    if is_first_at_chance(history, counts, setup.recipe.augment.mixed_fraction):
        reporter.note(chance_advice(history, names, counts, setup.recipe))


def training_class_counts(setup: TrainingSetup) -> np.ndarray:
    """Training images of each class in an epoch as `chance_class_counts`: float64 [num_classes]."""
    labels, num_classes = setup.store.labels[setup.splits.train], len(setup.info.class_names)
    return chance_class_counts(np.bincount(labels, minlength=num_classes), setup.recipe)
