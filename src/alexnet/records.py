"""The records of a run, one per epoch.

An `EpochRecord` is a line of `metrics.jsonl`; it is the same in every run of the same recipe on the
same machine. An `EpochTimes` is a line of `times.jsonl`. Errors are fractions from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerUpdate:
    """The size of the last update of a weight tensor, as root mean squares."""

    name: str
    weight: float
    """Root mean square of the weights after the update."""
    update: float
    """Root mean square of their change."""
    ratio: float
    """update / weight; about 1e-3 is usual."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LastStep:
    """What the record of an epoch has of the epoch's last step."""

    lr: float = 0.0
    """Learning rate."""
    layers: tuple[LayerUpdate, ...] = ()
    """The update of each weight tensor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One finished epoch; the same in every run of the same recipe on the same machine."""

    epoch: int
    """Number of the epoch, counted from 1."""
    step: int
    """Number of steps since the start of the run."""
    lr: float
    """Learning rate of the last step."""
    train_loss: float
    train_top1_error: float
    """On augmented images, during training. Here and in the loss, steps with CutMix or mixup are
    left out, unless all steps are of these; of a mixed image, the part of other classes than the
    predicted one is wrong."""
    train_top5_error: float
    eval_split: str | None
    """The split of the next three metrics: "val", "test", or None if there is neither."""
    eval_loss: float | None
    eval_top1_error: float | None
    eval_top5_error: float | None
    layers: tuple[LayerUpdate, ...]
    """The last update of the epoch, one per weight tensor."""

    @property
    def val_top1_error(self) -> float | None:
        """The validation error; None without a validation split."""
        return self.eval_top1_error if self.eval_split == "val" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochTimes:
    """How long an epoch took; steps that were lost to a kill and repeated count once."""

    epoch: int
    """Number of the epoch, counted from 1."""
    images_per_second: float
    """Speed of the training, without evaluation and checkpoints."""
    data_wait_fraction: float
    """Fraction of the training time spent waiting for data, 0 to 1."""
    elapsed_seconds: float
    """Duration of the whole epoch, including the evaluation."""
