"""The training loop: batch, learning rate, step, metrics, checkpoint; then evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from alexnet.records import LastStep
from alexnet.reporter import Reporter, StepReport
from alexnet.training.checkpointing import CheckpointManager
from alexnet.training.epoch import (
    BY_REPORTER,
    check_weights,
    epoch_record,
    has_ended,
    reason_to_stop,
    warn_if_at_chance,
)
from alexnet.training.late_check import LateCheck, build_late_check, count_figures, step_figures
from alexnet.training.loss_scaling import note_skipped
from alexnet.training.replica import note_sent
from alexnet.training.reporter_calls import reporter_call
from alexnet.training.setup import TrainingSetup
from alexnet.training.state import TrainState
from alexnet.training.step import train_step
from alexnet.training.step_figures import StepFigures
from alexnet.training.update_stats import copy_weights, update_ratios


def fit(
    setup: TrainingSetup, state: TrainState, checkpoints: CheckpointManager, reporter: Reporter
) -> None:
    """Train from `state` to the last step; after each epoch evaluate, record and save.

    A reporter may end it by `StopTraining`; what else it raises is passed on.

    Raises:
        DivergedError: a loss or a weight is not finite.
        TrainingInterrupted: a signal asked to stop; a checkpoint is saved.
        TimeLimitReached: the recipe's minutes have passed; a checkpoint is saved.
    """
    first_step = state.step
    while not (has_ended(setup.recipe, state.history) or state.is_stopped):
        train_epoch(setup, state, checkpoints, reporter)
        record = epoch_record(setup, state, checkpoints)
        warn_if_at_chance(setup, [*state.history, record], reporter)
        times = state.end_epoch(record)
        checkpoints.folder.add_epoch(record, times)
        with reporter_call(state, checkpoints, record.epoch):
            reporter.on_epoch(record, times)
        (state.last_epoch,) = setup.world.max_over_ranks(state.last_epoch)  # rank 0 has a reporter
        checkpoints.save_if_best(state)
        checkpoints.save_if_due(state)
    checkpoints.save(state)
    note_skipped(setup.loss_scaler, state.step, reporter)
    note_sent(setup.replica, state.step - first_step, reporter)
    reason = reason_to_stop(setup.recipe.stopping, state.history)
    if reason or state.is_stopped:
        reason = reason or BY_REPORTER
        reporter.note(f"ended after epoch {state.epoch}: {reason}")


def train_epoch(
    setup: TrainingSetup, state: TrainState, checkpoints: CheckpointManager, reporter: Reporter
) -> None:
    """Train the remaining steps of the unfinished epoch."""
    if state.has_trained_epoch(setup.steps_per_epoch):
        return
    setup.freeze(state.epoch)
    setup.learner.train()
    batches = setup.loader.epoch(state.epoch, state.step % setup.steps_per_epoch)
    late = build_late_check(setup)

    def report_newest() -> None:
        if newest := state.newest:
            state.newest = None
            report_step(setup, state, newest, checkpoints, reporter)

    for pixels, labels in state.timer.timed(batches):
        lr = setup.scheduler.lr(state.step, state.errors())
        with record_last_update(setup, state, lr):
            before = take_step(setup, state, pixels, labels, lr, late)
        if before:
            report_step(setup, state, before, checkpoints, reporter)
        if late is None or state.has_trained_epoch(setup.steps_per_epoch):
            report_newest()
        check_weights(state)
        checkpoints.save_if_due(state, report_newest)


def take_step(
    setup: TrainingSetup,
    state: TrainState,
    pixels: Tensor,
    labels: Tensor,
    lr: float,
    late: LateCheck | None,
) -> StepFigures | None:
    """Train one step and set `state.newest`; arguments and errors are those of `train_step`.

    Returns:
        The figures of the step before, if they are still to be counted: they are read while a GPU
        computes this step.
    """
    outputs = train_step(setup, pixels, labels, state.step, lr, late)
    before = state.newest
    state.end_step(step_figures(setup, state.step, lr, labels, *outputs, late))
    return before


def report_step(
    setup: TrainingSetup,
    state: TrainState,
    figures: StepFigures,
    checkpoints: CheckpointManager,
    reporter: Reporter,
) -> None:
    """Count a step of the unfinished epoch, and tell the reporter.

    Raises:
        DivergedError: its loss or a gradient was not finite.
    """
    count_figures(setup, state, figures)
    with reporter_call(state, checkpoints, state.epoch + 1):
        reporter.on_step(step_report(setup, state, figures))


@contextmanager
def record_last_update(setup: TrainingSetup, state: TrainState, lr: float) -> Iterator[None]:
    """A context for one step: if it is the epoch's last, record how far it moves every weight."""
    if (state.step + 1) % setup.steps_per_epoch:
        yield
        return
    setup.gather()
    before = copy_weights(setup.network)
    yield
    setup.gather()
    state.last_step = LastStep(lr=lr, layers=update_ratios(before, setup.network))


def step_report(setup: TrainingSetup, state: TrainState, figures: StepFigures) -> StepReport:
    """The report of a counted step, for progress bars and loggers."""
    assert figures.metrics
    return StepReport(
        step=figures.step,
        total_steps=setup.total_steps,
        epoch=state.epoch + 1,
        total_epochs=setup.recipe.epochs,
        loss=figures.metrics.mean_loss,
        top1_error=figures.metrics.top1_error,
        num_images=figures.num_images,
        step_loss=figures.step_loss,
        lr=figures.lr,
    )
