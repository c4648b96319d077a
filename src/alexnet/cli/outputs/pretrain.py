"""What `pretrain --json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.config.recipe import SplitMethod
from alexnet.data.store.store import Rejected
from alexnet.pretraining.run_files import LayerResult, PretrainingResult
from alexnet.training.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainOutput:
    """A pretraining that has finished."""

    run: str
    """The run folder."""
    model: str
    """The file of the pretrained layers, for train --from."""
    plots: str
    """The folder of the plots."""
    kind: str
    """autoencoder or rbm."""
    layers: tuple[LayerResult, ...]
    num_train_images: int
    num_val_images: int
    num_test_images: int
    """Number of test images, which were not used."""
    split_seed: int
    split: SplitMethod
    """How test images were held out, if the data set has no split of its own."""
    rejected: tuple[Rejected, ...]
    """Images that could not be used."""
    training_seconds: float


def pretrain_output(folder: RunFolder, result: PretrainingResult) -> PretrainOutput:
    """Make the output of a pretraining."""
    return PretrainOutput(
        run=str(folder.path),
        model=str(folder.model),
        plots=str(folder.plots),
        kind=result.kind,
        layers=result.layers,
        num_train_images=result.num_train_images,
        num_val_images=result.num_val_images,
        num_test_images=result.num_test_images,
        split_seed=result.split_seed,
        split=result.split,
        rejected=result.rejected,
        training_seconds=result.training_seconds,
    )
