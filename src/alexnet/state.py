"""What changes during a run: where it is, how it is saved, and how it is taken up again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from alexnet.checkpoint import Scores, load_tensors, save_model, save_tensors
from alexnet.errors import ModelFileError
from alexnet.evaluation import Evaluation
from alexnet.job import Job
from alexnet.metrics import ranks
from alexnet.records import EpochRecord
from alexnet.runs import RunFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """What has been added up since the epoch began.

    Steps that mix pictures are counted apart: their loss and error say nothing about learning.
    """

    loss: float = 0.0
    top1_wrong: int = 0
    top5_wrong: int = 0
    images: int = 0
    mixed_loss: float = 0.0
    mixed_images: int = 0

    @property
    def mean_loss(self) -> float:
        """Of the steps that did not mix; of the mixed ones where all did."""
        return self.loss / self.images if self.images else self.mixed_loss / self.mixed_images

    @property
    def top1_error(self) -> float:
        """Of the steps that did not mix; 1 where all did."""
        return self.top1_wrong / self.images if self.images else 1.0

    @property
    def top5_error(self) -> float:
        """Of the steps that did not mix; 1 where all did."""
        return self.top5_wrong / self.images if self.images else 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class StateInfo:
    """The header of `state.safetensors`."""

    fingerprint: str
    """Of the pictures."""
    step: int
    """Steps done."""
    sums: Sums
    history: tuple[EpochRecord, ...]


@dataclass
class Progress:
    """All that changes during a run, beside the network and the optimizer."""

    step: int = 0
    sums: Sums = field(default_factory=Sums)
    history: list[EpochRecord] = field(default_factory=list)

    def errors(self) -> list[float]:
        """Validation error of every finished epoch; the training error where there is no val split.

        Test pictures are watched, and never asked when something is chosen.
        """
        return [
            r.held_out_top1_error if r.held_out == "val" else r.train_top1_error
            for r in self.history
        ]


def added(sums: Sums, loss: Tensor, logits: Tensor, labels: Tensor, is_mixed: bool) -> Sums:
    """The sums with one more batch."""
    count = len(labels)
    total = loss.item() * count
    if is_mixed:
        mixed_loss, mixed_images = sums.mixed_loss + total, sums.mixed_images + count
        return replace(sums, mixed_loss=mixed_loss, mixed_images=mixed_images)
    rank = ranks(logits, labels)
    return replace(
        sums,
        loss=sums.loss + total,
        top1_wrong=sums.top1_wrong + int((rank >= 1).sum()),
        top5_wrong=sums.top5_wrong + int((rank >= 5).sum()),
        images=sums.images + count,
    )


def save_last(job: Job, progress: Progress, folder: RunFolder) -> None:
    """Write the last epoch's network beside the best one."""
    save_model(
        folder.last,
        job.network.state_dict(),
        replace(job.info, scores=Scores(epoch=len(progress.history))),
        job.augmenter.mean_image,
    )


def save_current(
    job: Job, progress: Progress, folder: RunFolder, evaluation: Evaluation | None = None
) -> None:
    """Write the network as it is now as the run's model."""
    errors = [r.held_out_top1_error for r in progress.history if r.held_out == "val"]
    scores = Scores(
        epoch=1 + errors.index(min(errors)) if errors else len(progress.history),
        val_top1_error=min(errors, default=-1.0),
        test_top1_error=evaluation.top1_error if evaluation else -1.0,
        test_top5_error=evaluation.top5_error if evaluation else -1.0,
    )
    info = replace(job.info, scores=scores)
    save_model(folder.model, job.network.state_dict(), info, job.augmenter.mean_image)


def save_state(job: Job, progress: Progress, folder: RunFolder) -> None:
    """Write all that is needed to go on from here."""
    tensors = {f"network.{name}": t for name, t in job.network.state_dict().items()}
    names = {id(p): name for name, p in job.network.named_parameters()}
    for parameter, state in job.optimizer.state.items():
        for key, value in state.items():
            tensors[f"optimizer.{names[id(parameter)]}.{key}"] = torch.as_tensor(value)
    info = StateInfo(
        fingerprint=job.store.info.fingerprint,
        step=progress.step,
        sums=progress.sums,
        history=tuple(progress.history),
    )
    save_tensors(folder.state, tensors, info)


def load_state(job: Job, folder: RunFolder) -> Progress:
    """Put the network and the optimizer back to where the state was saved.

    Raises:
        ModelFileError: the state is damaged, or of another network or other pictures.
    """
    tensors, info = load_tensors(folder.state, StateInfo)
    if info.fingerprint != job.store.info.fingerprint:
        raise ModelFileError(
            f"the pictures of {job.store.info.name} have changed since {folder.path} was stopped; "
            "bring them back, or start a new run"
        )
    weights = {
        name.removeprefix("network."): t
        for name, t in tensors.items()
        if name.startswith("network.")
    }
    try:
        job.network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelFileError(f"{folder.state} belongs to another network: {error}") from error
    for name, parameter in job.network.named_parameters():
        prefix = f"optimizer.{name}."
        state = {
            key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)
        }
        if state:
            job.optimizer.state[parameter] = {k: _like(t, parameter) for k, t in state.items()}
    return Progress(info.step, info.sums, list(info.history))


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A piece of optimizer state where and how the optimizer keeps it."""
    return (
        torch.empty_like(parameter).copy_(value)
        if value.shape == parameter.shape
        else value.to(parameter.device, copy=True)
    )


@dataclass
class Saver:
    """Saves the state of a run every so often."""

    job: Job
    folder: RunFolder
    saved_at: float = field(default_factory=time.monotonic)

    def save_if_due(self, progress: Progress) -> None:
        """Save when the recipe's time has passed since the last one."""
        if time.monotonic() - self.saved_at >= 60 * self.job.recipe.save_every_minutes:
            save_state(self.job, progress, self.folder)
            self.saved_at = time.monotonic()
