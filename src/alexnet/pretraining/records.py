"""What is recorded of a pretraining: a `LayerRecord` a line of `metrics.jsonl`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from alexnet.reporter import NullReporter, Reporter


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerRecord:
    """One finished epoch of one layer, measured on whole centre views without noise.

    An error is the mean squared difference between a layer's input and its reconstruction, as a
    share of the input's variance: 0 is perfect, 1 is what the mean input would give.
    """

    layer: str
    epoch: int
    """Counted from 1 in every layer."""
    train_error: float
    held_out_error: float
    """Below 0 where no pictures are held out."""
    activity: float
    """Auto-encoder: share of the code that is not zero; RBM: mean hidden probability."""
    free_energy_gap: float
    """RBM: mean free energy of held-out less that of training pictures, per input value; it grows
    when the training pictures are learnt by heart (Hinton 2010, section 6). Else 0."""
    images_per_second: float
    elapsed_seconds: float
    """Of the whole epoch, measuring included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerStep:
    """One finished step."""

    layer: str
    step: int
    """Counted from 1 over the whole pretraining."""
    total_steps: int
    error: float
    """Of this step's reconstruction, as in a `LayerRecord` but with noise or samples."""
    images: int


class PretrainReporter(Reporter, Protocol):
    """Told what happens, as it happens."""

    def layer_step(self, report: LayerStep) -> None:
        """After every step."""

    def layer_epoch(self, record: LayerRecord) -> None:
        """After every epoch."""


class SilentPretraining(NullReporter):
    """A reporter that tells nobody."""

    def layer_step(self, report: LayerStep) -> None:
        """Nothing."""

    def layer_epoch(self, record: LayerRecord) -> None:
        """Nothing."""
