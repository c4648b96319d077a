"""What a pretraining records and reports: a `LayerRecord` is a line of `metrics.jsonl`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from alexnet.reporter import NullReporter, Reporter


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerRecord:
    """One epoch of one layer, measured on center crops without noise.

    An error is the mean squared difference between a layer's input and its reconstruction, divided
    by the input's variance: 0 is perfect, 1 is the error of always predicting the mean input.
    """

    layer: str
    epoch: int
    """Counted from 1 in every layer."""
    train_error: float
    val_error: float | None
    """None without validation images."""
    activation_rate: float
    """Auto-encoder: fraction of the code that is not zero. RBM: mean hidden probability."""
    free_energy_gap: float
    """RBM: mean free energy of validation images minus that of training images, per input value; it
    grows when the RBM overfits (Hinton 2010, section 6). 0 for auto-encoders and without validation
    images."""
    images_per_second: float
    elapsed_seconds: float
    """Seconds of the whole epoch, including the measurements."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerStep:
    """One training step."""

    layer: str
    step: int
    """Counted from 1 over the whole pretraining."""
    total_steps: int
    error: float
    """Reconstruction error of the batch, as in `LayerRecord` but with noise or sampling."""
    num_images: int


def layer_epoch_text(record: LayerRecord) -> str:
    """The line of text about a finished epoch of a layer."""
    val = "" if record.val_error is None else f"  val error {record.val_error:.4f}"
    return (
        f"{record.layer}  epoch {record.epoch:>3}  train error {record.train_error:.4f}{val}  "
        f"activation rate {record.activation_rate:.1%}  {record.images_per_second:.0f} images/s"
    )


class PretrainReporter(Reporter, Protocol):
    """Receives the progress of a pretraining."""

    def on_layer_step(self, report: LayerStep) -> None:
        """Called after every step."""

    def on_layer_epoch(self, record: LayerRecord) -> None:
        """Called after every epoch of a layer."""


class NullPretrainReporter(NullReporter):
    """Ignores everything that is reported."""

    def on_layer_step(self, report: LayerStep) -> None:
        """Do nothing."""

    def on_layer_epoch(self, record: LayerRecord) -> None:
        """Do nothing."""
