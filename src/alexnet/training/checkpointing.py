"""How a run is saved, so that it can be taken up again at any moment.

A state is written aside, flushed and renamed, and only then are older ones removed. It leans on
`model.safetensors`, the best epoch so far, which is written before it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from alexnet.checkpoints.model_file import Scores, load_model, save_model
from alexnet.checkpoints.tensors import load_tensors, save_tensors
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.errors import ConfigError, ModelFileError
from alexnet.records import EpochRecord
from alexnet.reporter import Reporter
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.training.run_folder import RunFolder, state_step
from alexnet.training.setup import TrainingSetup
from alexnet.training.state import CheckpointInfo, TrainState
from alexnet.training.timer import EpochTimer

CHANGEABLE_ON_RESUME = (
    "name", "data", "data_root", "init_from", "device",
    "save_every_minutes", "save_every_steps", "keep_checkpoints",
)  # fmt: skip
"""What of a recipe may be changed in config.json while the run is stopped: it decides no result, or
is held against the state otherwise."""


def save_last(job: TrainingSetup, progress: TrainState, folder: RunFolder) -> None:
    """Write the last epoch's network beside the best one."""
    info = replace(job.info, scores=Scores(epoch=len(progress.history)))
    save_model(folder.last, job.network.state_dict(), info, job.augmenter.mean_image)


def save_current(job: TrainingSetup, scores: Scores, folder: RunFolder) -> None:
    """Write the network as it is now as the run's model."""
    info = replace(job.info, scores=scores)
    save_model(folder.model, job.network.state_dict(), info, job.augmenter.mean_image)


def best_scores(history: Sequence[EpochRecord]) -> Scores:
    """The epoch that is the run's model: the first with the lowest validation error, else the last.

    Test figures are not in it yet.
    """
    errors = [record.eval_top1_error for record in history if record.eval_split == "val"]
    if not errors:
        return Scores(epoch=len(history))
    return Scores(epoch=1 + errors.index(min(errors)), val_top1_error=min(errors))


def save_checkpoint(job: TrainingSetup, progress: TrainState, folder: RunFolder) -> None:
    """Write all that is needed to go on from here, then remove what is too old.

    A state that is ahead of this step was passed over when the run was taken up; it is removed too.
    """
    tensors = {f"network.{name}": t for name, t in job.network.state_dict().items()}
    names = {id(p): name for name, p in job.network.named_parameters()}
    for parameter, state in job.optimizer.state.items():
        for key, value in state.items():
            tensors[f"optimizer.{names[id(parameter)]}.{key}"] = torch.as_tensor(value)
    info = CheckpointInfo(
        fingerprint=job.store.info.fingerprint,
        recipe=job.recipe,
        step=progress.step,
        sums=progress.sums,
        last_step=progress.last_step,
        spent=progress.clock.spent(),
        history=tuple(progress.history),
        times=tuple(progress.times),
    )
    save_tensors(folder.state(progress.step), tensors, info)
    states = folder.saved_states()
    past = [path for path in states if state_step(path) <= progress.step]
    for path in set(states) - set(past[-job.recipe.keep_checkpoints :]):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class SavedState:
    """A whole state, read."""

    tensors: dict[str, Tensor]
    info: CheckpointInfo


def latest_checkpoint(folder: RunFolder, recipe: Recipe, reporter: Reporter) -> SavedState | None:
    """The newest state that is whole; None where there is none. Damaged ones are named.

    Raises:
        OSError: a state cannot be opened, which is no damage.
        ConfigError: config.json is not as it was when the state was saved.
    """
    for path in reversed(folder.saved_states()):
        path.open("rb").close()
        try:
            tensors, info = load_tensors(path, CheckpointInfo)
            check_best(folder, info.history)
        except ModelFileError as error:
            reporter.note(f"passed over {path.name}, for {error}")
            continue
        check_recipe(folder, recipe, info.recipe)
        return SavedState(tensors, info)
    return None


def check_best(folder: RunFolder, history: Sequence[EpochRecord]) -> None:
    """Refuse to go on where the best epoch so far is lost, since it may be the best of all.

    A model of a later epoch than this history's is of steps that will be done again.

    Raises:
        ModelFileError: the model is missing, damaged or of an earlier epoch.
    """
    best = best_scores(history)
    if best.val_top1_error < 0:
        return
    _, info, _ = load_model(folder.model)
    if info.scores.epoch < best.epoch:
        raise ModelFileError(
            f"{folder.model} is of epoch {info.scores.epoch}, and epoch {best.epoch} was the best"
        )


def check_recipe(folder: RunFolder, now: Recipe, then: Recipe) -> None:
    """Refuse a config.json that was changed while the run was stopped.

    Raises:
        ConfigError: something that decides the result is another.
    """
    names = [field.name for field in fields(Recipe) if field.name not in CHANGEABLE_ON_RESUME]
    if changed := [name for name in names if getattr(now, name) != getattr(then, name)]:
        was = to_json(getattr(then, changed[0]), indent=None)
        raise ConfigError(
            f"{folder.config} has changed since the run was stopped ({changed[0]} was {was}): "
            "put it back, or start a new run with --config"
        )


def restore(job: TrainingSetup, saved: SavedState, folder: RunFolder) -> TrainState:
    """Put the network and the optimizer back to where the state was saved.

    Raises:
        ModelFileError: the state is of another network or of other pictures.
    """
    tensors, info = saved.tensors, saved.info
    if info.fingerprint != job.store.info.fingerprint:
        raise ModelFileError(
            f"the pictures of {job.store.info.name} have changed since {folder.path} was stopped; "
            "bring them back, or start a new run"
        )
    try:
        job.network.load_state_dict(_with_prefix(tensors, "network."))
    except RuntimeError as error:
        raise ModelFileError(
            f"{folder.state(info.step)} belongs to another network: {error}"
        ) from error
    for name, parameter in job.network.named_parameters():
        if state := _with_prefix(tensors, f"optimizer.{name}."):
            job.optimizer.state[parameter] = {k: _like(t, parameter) for k, t in state.items()}
    return TrainState(
        step=info.step,
        sums=info.sums,
        last_step=info.last_step,
        clock=EpochTimer(info.spent),
        history=list(info.history),
        times=list(info.times),
    )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A piece of optimizer state where and how the optimizer keeps it."""
    return (
        torch.empty_like(parameter).copy_(value)
        if value.shape == parameter.shape
        else value.to(parameter.device, copy=True)
    )


@dataclass
class CheckpointManager:
    """Saves the state of a run every so often, and ends the run where it is asked to."""

    job: TrainingSetup
    folder: RunFolder
    stop: StopRequest
    saved: tuple[int, int] = (0, 0)
    """Steps and finished epochs of the newest state."""
    saved_at: float = field(default_factory=time.monotonic)

    def save_if_due(self, progress: TrainState) -> None:
        """Save when the recipe's minutes or steps have passed since the last one.

        Raises:
            Stopped: a signal has asked to stop; the state is saved.
        """
        recipe = self.job.recipe
        is_late = time.monotonic() - self.saved_at >= 60 * recipe.save_every_minutes
        every = recipe.save_every_steps
        if is_late or (every and progress.step // every > self.saved[0] // every):
            self.save(progress)
        self.stop_if_asked(progress)

    def save(self, progress: TrainState) -> None:
        """Save, unless that has been done at this very moment of the run."""
        moment = (progress.step, len(progress.history))
        if moment != self.saved:
            with progress.clock.saving():
                save_checkpoint(self.job, progress, self.folder)
            self.saved = moment
        self.saved_at = time.monotonic()

    def stop_if_asked(self, progress: TrainState) -> None:
        """Save and end here, if a signal has asked to.

        Raises:
            Stopped: it has.
        """
        if self.stop.number:
            self.save(progress)
            done = f"step {progress.step:,} of {self.job.total_steps:,}"
            message = (
                f"stopped after {done}, which is saved; go on with: {self.folder.resume_command}"
            )
            raise TrainingInterrupted(message, self.stop.number)
