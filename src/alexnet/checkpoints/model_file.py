"""Model files and training states: safetensors, the rest as JSON in the header. No pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from alexnet.checkpoints.tensors import FORMAT, load_tensors, save_tensors
from alexnet.checkpoints.validation import check_pictures, check_tensors
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError, ModelFileError
from alexnet.models.architecture import Architecture

MEAN_IMAGE = "preprocessing.mean_image"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What the model reached when it was saved; errors from 0 to 1, below 0 when not measured."""

    epoch: int = 0
    val_top1_error: float = -1.0
    test_top1_error: float = -1.0
    test_top5_error: float = -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """What a model file says of itself, beside its weights."""

    format: int = FORMAT
    architecture: Architecture
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    recipe: Recipe
    """How it was trained; evaluation takes the data set and its split from here."""
    manifest_hash: str = ""
    """Digest of the data set's names, labels and splits; with another one the split is another."""
    scores: Scores = Scores()


def save_model(
    path: Path, weights: dict[str, Tensor], info: ModelInfo, mean_image: Tensor | None = None
) -> None:
    """Write a model file: weights as the state dict names them, and the mean picture if any."""
    extra = {} if mean_image is None else {MEAN_IMAGE: mean_image}
    save_tensors(path, {**weights, **extra}, info)


def load_model(path: Path) -> tuple[dict[str, Tensor], ModelInfo, Tensor | None]:
    """Weights, header and mean picture of a model file.

    Raises:
        ModelFileError: missing, damaged, or not a model of this program.
    """
    tensors, info = load_tensors(path, ModelInfo)
    mean_image = tensors.pop(MEAN_IMAGE, None)
    try:
        check_pictures(info.architecture, info.preprocessing, mean_image)
        check_tensors(info.architecture, tensors)
    except ConfigError as error:
        raise ModelFileError(f"{path} cannot be used: {error}") from error
    if len(info.class_names) != info.architecture.num_classes:
        raise ModelFileError(
            f"{path} names {len(info.class_names)} classes for "
            f"{info.architecture.num_classes} outputs"
        )
    return tensors, info, mean_image
