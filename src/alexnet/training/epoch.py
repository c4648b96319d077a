"""An epoch whose steps are done: its figures, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError
from alexnet.evaluation.evaluator import evaluate_images
from alexnet.evaluation.results import Evaluation
from alexnet.records import EpochRecord
from alexnet.reporter import Reporter
from alexnet.training.checkpointing import CheckpointManager
from alexnet.training.setup import TrainingSetup
from alexnet.training.state import TrainState


def epoch_record(job: TrainingSetup, progress: TrainState, saver: CheckpointManager) -> EpochRecord:
    """The trained epoch's figures, with the held-out pictures evaluated now.

    Raises:
        DivergedError: the held-out loss is not finite.
        Stopped: a signal has asked to stop; the state is saved.
    """
    sums, last = progress.sums, progress.last_step
    rows = job.splits.indices(job.eval_split) if job.eval_split else np.empty(0, np.int64)
    held = judged(job, rows, saver, progress)
    if held and not math.isfinite(held.loss):
        raise not_finite(f"the {job.eval_split} loss", progress)
    return EpochRecord(
        epoch=len(progress.history) + 1,
        step=progress.step,
        lr=last.lr,
        layers=last.layers,
        train_loss=sums.mean_loss,
        train_top1_error=sums.top1_error,
        train_top5_error=sums.top5_error,
        eval_split=job.eval_split,
        eval_loss=held.loss if held else -1.0,
        eval_top1_error=held.top1_error if held else -1.0,
        eval_top5_error=held.top5_error if held else -1.0,
    )


def judged(
    job: TrainingSetup, rows: np.ndarray, saver: CheckpointManager, progress: TrainState
) -> Evaluation | None:
    """The network's evaluation on some rows of the store; None where there are none.

    Raises:
        Stopped: a signal has asked to stop; the state is saved.
    """
    if not len(rows):
        return None
    return evaluate_images(
        job.classifier(), job.store, rows, progress=lambda done: saver.stop_if_asked(progress)
    )


def check_weights(progress: TrainState) -> None:
    """Stop where the last update broke the weights, which no training loss has seen yet.

    Raises:
        DivergedError: a weight is not finite.
    """
    for layer in progress.last_step.layers:
        if not math.isfinite(layer.weight):
            raise not_finite(layer.name, progress)


def not_finite(what: str, progress: TrainState) -> DivergedError:
    """The error that names a broken figure and the step after which it was seen."""
    return DivergedError(f"{what} is not finite after step {progress.step}; try a lower --lr")


def has_ended(recipe: Recipe, history: Sequence[EpochRecord]) -> bool:
    """Whether all epochs are done, or the training error is as low as the recipe wants it."""
    goal = recipe.target_train_error
    is_low = goal is not None and bool(history) and history[-1].train_top1_error <= goal
    return is_low or len(history) >= recipe.epochs


def is_best(errors: list[float]) -> bool:
    """Whether the last error is below all before it."""
    return errors[-1] < min(errors[:-1], default=math.inf)


def warn_if_at_chance(
    job: TrainingSetup, history: list[EpochRecord], record: EpochRecord, reporter: Reporter
) -> None:
    """Say so when the loss stays at ln(classes), that of knowing nothing, for three epochs."""
    chance = math.log(len(job.info.class_names))
    recent = [*history, record]
    if len(recent) == 3 and all(abs(r.train_loss - chance) < 0.01 * chance for r in recent):
        reporter.note(
            f"the loss has stayed at {record.train_loss:.3f}, "
            f"about ln({len(job.info.class_names)}) = {chance:.3f}, which is chance; the usual "
            "causes are a learning rate that is too high or too low "
            f"(--lr {job.recipe.optimizer.lr:g}), first weights that are too small for this "
            "depth (--norm batch, or another --arch), or shuffled labels"
        )
