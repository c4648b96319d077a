"""The training loop."""

from __future__ import annotations

from torch import Tensor

from alexnet.records import LastStep, LayerUpdate
from alexnet.reporter import Reporter, StepReport
from alexnet.training.checkpointing import CheckpointManager, best_scores, save_current
from alexnet.training.epoch import (
    check_weights,
    epoch_record,
    has_ended,
    is_best,
    warn_if_at_chance,
)
from alexnet.training.schedule import lr_at
from alexnet.training.setup import TrainingSetup
from alexnet.training.state import TrainState, added
from alexnet.training.step import train_step
from alexnet.training.timer import EpochTimer
from alexnet.training.update_stats import copy_weights, updates


def fit(
    job: TrainingSetup, progress: TrainState, saver: CheckpointManager, reporter: Reporter
) -> None:
    """Train from where `progress` is to the last step; after each epoch evaluate, record, save.

    Raises:
        DivergedError: a loss or a weight is not finite.
        Stopped: a signal has asked to stop; the state is saved.
    """
    folder = saver.folder
    while not has_ended(job.recipe, progress.history):
        epoch = len(progress.history)
        if not progress.has_trained_epoch(job.batches.steps_per_epoch):
            rate, moves = train_epoch(job, progress, epoch, progress.clock, saver, reporter)
            progress.last_step = LastStep(lr=rate, layers=moves)
            check_weights(progress)
            saver.save_if_due(progress)
        record = epoch_record(job, progress, saver)
        warn_if_at_chance(job, progress.history, record, reporter)
        times = progress.end_epoch(record)
        folder.add_epoch(record, times)
        reporter.on_epoch(record, times)
        if job.eval_split == "val" and is_best(progress.errors()):
            save_current(job, best_scores(progress.history), folder)
        saver.save_if_due(progress)
    saver.save(progress)
    if len(progress.history) < job.recipe.epochs:
        reporter.note(f"ended after epoch {len(progress.history)}: --target-train-error")


def train_epoch(
    job: TrainingSetup,
    progress: TrainState,
    epoch: int,
    clock: EpochTimer,
    saver: CheckpointManager,
    reporter: Reporter,
) -> tuple[float, tuple[LayerUpdate, ...]]:
    """The training loop: the steps of one epoch that are not done yet.

    Returns:
        The last step's rate, and how far it moved every weight.
    """
    recipe, steps_per_epoch = job.recipe, job.batches.steps_per_epoch
    errors, last_step = progress.errors(), (epoch + 1) * steps_per_epoch
    rate, before = 0.0, dict[str, Tensor]()
    job.freeze(epoch)
    job.network.train()
    for pixels, labels in clock.timed(job.feed.epoch(epoch, progress.step % steps_per_epoch)):
        rate = lr_at(
            recipe.schedule,
            recipe.optimizer.lr,
            progress.step,
            steps_per_epoch,
            job.total_steps,
            errors,
        )
        if progress.step + 1 == last_step:
            before = copy_weights(job.network)
        loss, logits, is_mixed = train_step(job, pixels, labels, progress.step, rate)
        progress.sums = added(progress.sums, loss, logits, labels, is_mixed)
        progress.step += 1
        reporter.on_step(step_report(job, progress, epoch, len(labels)))
        if progress.step < last_step:
            saver.save_if_due(progress)
    return rate, updates(before, job.network)


def step_report(job: TrainingSetup, progress: TrainState, epoch: int, images: int) -> StepReport:
    """What a progress bar shows."""
    sums = progress.sums
    return StepReport(
        step=progress.step,
        total_steps=job.total_steps,
        epoch=epoch + 1,
        loss=sums.mean_loss,
        top1_error=sums.top1_error,
        images=images,
    )
