"""Checkpoints of a run, so that it can be resumed after any step.

A checkpoint is written to a temporary file, synced and renamed; only then are older ones removed.
It relies on `model.safetensors`, the best epoch so far, which is written before it.
"""

from __future__ import annotations

import errno
import hashlib
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from alexnet.checkpoints.model_file import Scores, load_model, save_model
from alexnet.checkpoints.tensors import load_tensors, save_tensors
from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.data.duplicates import data_flags
from alexnet.data.trained_on import split_flags
from alexnet.errors import ConfigError, ModelFileError, TrainingError, causes
from alexnet.io.files import remove_file
from alexnet.io.text import error_text, shell_command
from alexnet.parallel.world import on_main
from alexnet.records import EpochRecord
from alexnet.reporter import Reporter
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.training.checkpoint_tensors import load_training_tensors, training_tensors
from alexnet.training.late_check import count_figures
from alexnet.training.run_folder import RunFolder, checkpoint_step
from alexnet.training.schedule import past_plan
from alexnet.training.setup import TrainingSetup
from alexnet.training.state import CheckpointInfo, TrainState
from alexnet.training.timer import EpochTimer

CHANGEABLE_ON_RESUME = (
    "name", "data", "data_root", "init_from", "device", "stopping",
    "save_every_minutes", "save_every_steps", "keep_checkpoints", "keep_state",
)  # fmt: skip
"""Fields of the recipe that may be changed in config.json before a run is resumed: they do not
affect the steps, or another check covers them (the store's fingerprint covers `data`)."""


@on_main
def save_network(setup: TrainingSetup, scores: Scores, folder: RunFolder) -> None:
    """Save the network as it is now as the run's model."""
    info = replace(setup.info, scores=scores)
    save_model(folder.model, setup.model.state_dict(), info, setup.augmenter.mean_image)


@on_main
def save_last(setup: TrainingSetup, state: TrainState, folder: RunFolder) -> None:
    """Write the last epoch's model beside the best one."""
    info = replace(setup.info, scores=Scores(epoch=state.epoch))
    save_model(folder.last, setup.model.state_dict(), info, setup.augmenter.mean_image)


def best_scores(history: Sequence[EpochRecord]) -> Scores:
    """Scores of the run's model: the first epoch with the lowest validation error, else the last.

    The test is not measured yet.
    """
    errors = [r.val_top1_error for r in history if r.val_top1_error is not None]
    if not errors:
        return Scores(epoch=len(history))
    return Scores(epoch=1 + errors.index(min(errors)), val_top1_error=min(errors))


def discarded_best(scores: Scores, lowest: Scores) -> str:
    """The note that the run's model is of steps that were discarded; "" if it is not.

    The best model is written after each epoch, and a checkpoint only now and then: what a kill
    discarded may be repeated with other results, such as by another GPU.

    Args:
        scores: of the model.
        lowest: of the epochs that the run has kept.
    """
    if (scores.epoch, scores.val_top1_error) == (lowest.epoch, lowest.val_top1_error):
        return ""
    own, other = (100 * (s.val_top1_error or 0) for s in (scores, lowest))
    return (
        f"the model is of epoch {scores.epoch} as it was before the run was interrupted "
        f"(validation error {own:.1f} %); the epochs done again since then differ, and the lowest "
        f"is now {other:.1f} % (epoch {lowest.epoch})"
    )


def save_checkpoint(setup: TrainingSetup, state: TrainState, folder: RunFolder) -> None:
    """Write everything that is needed to resume from here, then remove old checkpoints.

    A checkpoint of a later step was unusable when the run was resumed; it is removed, too. All
    processes call it; that of rank 0 writes.
    """
    _write_checkpoint(setup, state, folder, training_tensors(setup))


@on_main
def _write_checkpoint(
    setup: TrainingSetup, state: TrainState, folder: RunFolder, tensors: dict[str, Tensor]
) -> None:
    info = CheckpointInfo(
        fingerprint=setup.store.info.fingerprint,
        recipe=setup.recipe,
        step=state.step,
        metrics=state.metrics,
        last_step=state.last_step,
        elapsed=state.timer.elapsed(),
        history=tuple(state.history),
        times=tuple(state.times),
        loss_scaler=setup.loss_scaler,
        last_epoch=state.last_epoch,
    )
    save_tensors(folder.checkpoint(state.step), tensors, info)
    checkpoints = folder.saved_checkpoints()
    past = [path for path in checkpoints if checkpoint_step(path) <= state.step]
    for path in set(checkpoints) - set(past[-setup.recipe.keep_checkpoints :]):
        remove_file(path)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint as it was read."""

    tensors: dict[str, Tensor]
    info: CheckpointInfo

    @property
    def identity(self) -> str:
        """The file name, and a hash that tells sessions apart which saved the same step."""
        header = to_json(self.info).encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(header, digest_size=4).hexdigest()
        return f"step-{self.info.step:06d}.safetensors ({digest})"


class LostModelError(ModelFileError):
    """The model of a checkpoint's best epoch is gone; the checkpoint itself is whole."""


def latest_checkpoint(folder: RunFolder, recipe: Recipe, reporter: Reporter) -> Checkpoint | None:
    """The newest intact checkpoint; None if there is none and the run is to start again.

    Damaged ones are reported. An unfinished run starts again if all of them are.

    Raises:
        OSError: a checkpoint cannot be opened; that does not mean that it is damaged.
        TrainingError: nor does an error of the disk or the network while it is read.
        ConfigError: config.json has changed since the checkpoint was written.
        TrainingError: none can be used, and the run has finished or lacks nothing but its model.
    """
    lost = ""
    for path in reversed(folder.saved_checkpoints()):
        path.open("rb").close()
        try:
            tensors, info = load_tensors(path, CheckpointInfo)
            check_best(folder, info.history)
        except ModelFileError as error:
            check_was_read(path, error)
            reporter.note(f"skipped {path.name}: {error}")
            if isinstance(error, LostModelError) or folder.result.exists():
                lost = lost or str(error)
            continue
        check_recipe(folder, recipe, info.recipe, info.step)
        return Checkpoint(tensors, info)
    if lost:
        new = shell_command(["alexnet", "train", "--config", str(folder.path)])
        raise TrainingError(
            f"{folder.path} cannot go on: {lost}; restore that file, or start a new run: {new}"
        )
    return None


def check_was_read(path: Path, error: ModelFileError) -> None:
    """Raise an error if the system failed to read a checkpoint or its model; pass if it is damaged.

    Raises:
        TrainingError: the system failed.
    """
    for cause in causes(error):
        of_system = isinstance(cause, OSError) and cause.errno not in (None, errno.ENOENT)
        of_rust = isinstance(cause, SafetensorError) and re.search(r"\(os error \d+\)", str(cause))
        if of_system or of_rust:
            raise TrainingError(
                f"{path} cannot be read now ({error_text(cause)}); nothing was changed: solve "
                "that, and run the same again"
            ) from error


def check_best(folder: RunFolder, history: Sequence[EpochRecord]) -> None:
    """Reject a checkpoint if the model of its best epoch is lost, which may be the best of the run.

    The model may be of a later epoch than the checkpoint: the steps between them are repeated.

    Raises:
        LostModelError: the model is missing, damaged or of an earlier epoch.
    """
    best = best_scores(history)
    if best.val_top1_error is None:
        return
    try:
        _, info, _ = load_model(folder.model)
    except ModelFileError as error:
        raise LostModelError(str(error)) from error
    if info.scores.epoch < best.epoch:
        raise LostModelError(
            f"{folder.model} is of epoch {info.scores.epoch}, but epoch {best.epoch} was the best"
        )


SEEN = (
    "; its split is another, so that these weights were trained on some of its test images, unless "
    "the data has a test folder of its own"
)
"""Remark on a new run whose images are split at random, and are others than before."""


def check_recipe(folder: RunFolder, recipe: Recipe, saved: Recipe, step: int) -> None:
    """Reject a config.json that was changed while the run was stopped.

    Args:
        folder: of the run.
        recipe: in its config.json; may plan another number of epochs after `step`, and spread the
            network over another number of processes, in another scheme.
        saved: in the checkpoint.
        step: of the checkpoint.

    Raises:
        ConfigError: a field that decides the result has changed.
    """
    if past_plan(recipe, step) == past_plan(saved, step):
        schedule = replace(recipe.schedule, replanned=saved.schedule.replanned)
        recipe = replace(recipe, epochs=saved.epochs, schedule=schedule)
    recipe = replace(recipe, distributed=with_layout(recipe.distributed, saved.distributed))
    names = [field.name for field in fields(Recipe) if field.name not in CHANGEABLE_ON_RESUME]
    if changed := [name for name in names if getattr(recipe, name) != getattr(saved, name)]:
        was = to_json(getattr(saved, changed[0]), indent=None)
        raise ConfigError(
            f"{folder.config} has changed since the run was stopped ({changed[0]} was {was}): "
            "restore it, or start a new run with --config"
        )


def with_layout(options: DistributedOptions, saved: DistributedOptions) -> DistributedOptions:
    """The options with the saved number of processes and scheme, which decide rounding alone."""
    return replace(options, devices=saved.devices, parallel=saved.parallel, exchange=saved.exchange)


def train_from_command(recipe: Recipe, folder: RunFolder) -> str:
    """The command of a new run from the weights of this one, on its data in its split."""
    options = recipe.data_options
    data = [recipe.data, *data_flags(recipe.data_root, options.label_from)]
    split = split_flags(options, recipe.seed)
    return shell_command(["alexnet", "train", *data, "--from", str(folder.model), *split])


def restore(setup: TrainingSetup, checkpoint: Checkpoint, folder: RunFolder) -> TrainState:
    """Load a checkpoint into the network, optimizer and loss scaler; returns the rest of the state.

    Raises:
        ModelFileError: the checkpoint is of another network or of other images.
    """
    tensors, info = checkpoint.tensors, checkpoint.info
    if info.fingerprint != setup.store.info.fingerprint:
        command = train_from_command(setup.recipe, folder)
        note = "" if setup.recipe.data_options.split == "hash" else SEEN
        new_run = f" from its weights: {command}{note}" if folder.model.exists() else ""
        raise ModelFileError(
            f"the images of {setup.store.info.name} have changed since {folder.path} was stopped; "
            f"restore them, or start a new run{new_run}"
        )
    try:
        load_training_tensors(setup, tensors)
    except RuntimeError as error:
        raise ModelFileError(
            f"{folder.checkpoint(info.step)} belongs to another network: {error}"
        ) from error
    if setup.loss_scaler and info.loss_scaler:  # neither where `auto` is another type than before
        setup.loss_scaler = replace(info.loss_scaler)
    return TrainState(
        step=info.step,
        metrics=info.metrics,
        last_step=info.last_step,
        timer=EpochTimer(info.elapsed),
        history=list(info.history),
        times=list(info.times),
        last_epoch=info.last_epoch,
    )


class TimeLimitReached(Exception):  # noqa: N818 - not an error
    """The minutes of --max-minutes have passed; a checkpoint is saved."""


@dataclass
class CheckpointManager:
    """Saves checkpoints of a run at intervals, and ends it at a signal or when its time is up."""

    setup: TrainingSetup
    folder: RunFolder
    stop: StopRequest
    saved: tuple[int, int] = (0, 0)
    """Finished steps and epochs at the newest checkpoint."""
    saved_at: float = field(default_factory=time.monotonic)
    deadline: float = math.inf
    """When training stops, by `time.monotonic`."""

    def save_if_best(self, state: TrainState) -> None:
        """Write the model as that of the run if its validation error is the lowest so far."""
        scores = best_scores(state.history)
        if state.history[-1].val_top1_error is not None and scores.epoch == state.epoch:
            save_network(self.setup, scores, self.folder)

    def save_if_due(self, state: TrainState, before: Callable[[], None] = lambda: None) -> None:
        """Save if the recipe's minutes or steps have passed since the last checkpoint.

        Ends the run if its time is up and steps are left. It is not asked during an evaluation, so
        that a run goes on however little time each of its sessions has.

        Args:
            state: of the run.
            before: called before a checkpoint is saved here.

        Raises:
            TrainingInterrupted: a signal asked to stop; a checkpoint is saved.
            TimeLimitReached: the deadline has passed; a checkpoint is saved.
        """
        recipe = self.setup.recipe
        now, every = time.monotonic(), recipe.save_every_steps
        is_time, signal_number, is_over = self.setup.world.max_over_ranks(
            now - self.saved_at >= 60 * recipe.save_every_minutes,
            self.stop.signal_number,
            now >= self.deadline,
        )
        is_due = is_time or (every and state.step // every > self.saved[0] // every)
        is_over = is_over and state.step < self.setup.total_steps
        if is_due or signal_number or is_over:
            before()
            self.save(state)
        self._stop(state, signal_number)
        if is_over:
            raise TimeLimitReached

    def save(self, state: TrainState) -> None:
        """Save, unless nothing has changed since the last checkpoint.

        Raises:
            DivergedError: the last step was not finite, which is known only now.
        """
        if state.newest:
            count_figures(self.setup, state, state.newest)
        position = (state.step, state.epoch)
        if position != self.saved:
            with state.timer.saving():
                save_checkpoint(self.setup, state, self.folder)
            self.saved = position
        self.saved_at = time.monotonic()

    def stop_if_asked(self, state: TrainState) -> None:
        """Save and end the run if a signal has asked to, in any process.

        Raises:
            TrainingInterrupted: it has.
        """
        self._stop(state, *self.setup.world.max_over_ranks(self.stop.signal_number))

    def _stop(self, state: TrainState, signal_number: int) -> None:
        if signal_number:
            self.save(state)
            self.setup.world.barrier()  # rank 0 has saved
            raise TrainingInterrupted(
                f"stopped after step {state.step:,} of {self.setup.total_steps:,}, which is saved; "
                f"resume with: {self.folder.resume_command}",
                signal_number,
            )
