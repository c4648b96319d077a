"""The records of a run.

An `EpochRecord` is a line of `metrics.jsonl`, a function of the recipe and the machine; an
`EpochTimes` is a line of `times.jsonl`, measured and never twice the same. Errors are from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerUpdate:
    """How far one update moved a weight, as root mean squares."""

    name: str
    weight: float
    update: float
    ratio: float
    """update / weight; about 1e-3 is healthy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LastStep:
    """The last step of an epoch, for the epoch's record."""

    lr: float = 0.0
    """Learning rate."""
    layers: tuple[LayerUpdate, ...] = ()
    """How far it moved every weight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One finished epoch; the same in every run of the same recipe on the same machine."""

    epoch: int
    """Counted from 1."""
    step: int
    """Steps done since the run began."""
    lr: float
    """Learning rate of the last step."""
    train_loss: float
    train_top1_error: float
    """On augmented images, during training; here and in the loss, CutMix steps are left out."""
    train_top5_error: float
    eval_split: str | None
    """The split of the next three figures: "val", "test", or None when there is neither."""
    eval_loss: float | None
    eval_top1_error: float | None
    eval_top5_error: float | None
    layers: tuple[LayerUpdate, ...]
    """The last update of the epoch, weight by weight."""

    @property
    def val_top1_error(self) -> float | None:
        """The validation error; None without a validation split."""
        return self.eval_top1_error if self.eval_split == "val" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochTimes:
    """How long an epoch took; steps that were lost to a kill and repeated count once."""

    epoch: int
    """Counted from 1."""
    images_per_second: float
    """Training only, evaluation and saving not counted."""
    data_wait_fraction: float
    """Fraction of the training time spent waiting for data, 0 to 1."""
    elapsed_seconds: float
    """Of the whole epoch, evaluation included."""
