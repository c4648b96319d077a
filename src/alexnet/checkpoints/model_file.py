"""Model files: weights as safetensors, everything else as JSON in the header. No pickle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.config.preprocessing import Preprocessing, StoredForm
from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError, ModelFileError
from alexnet.io.paths import path_text
from alexnet.models.architecture import Architecture
from alexnet.models.zoo import ZOO

if TYPE_CHECKING:
    from torch import Tensor

MEAN_IMAGE = "preprocessing.mean_image"
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
"""The range in which a temperature is fitted, and taken from the files of others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Errors of the model, 0 to 1; None where they were not measured."""

    epoch: int = 0
    """Epoch after which the model was saved, from 1; 0 for a model that was not trained here."""
    val_top1_error: float | None = None
    test_top1_error: float | None = None
    test_top5_error: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """The header of a model file: all that is needed to use its weights."""

    architecture: Architecture
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    recipe: Recipe
    """How it was trained; evaluation takes data set and split from it."""
    manifest_hash: str = ""
    """`Store.manifest_hash` of the training data; of other data the recipe's split may differ."""
    scores: Scores = Scores()
    temperature: float = 1.0
    """Logits are divided by it before the softmax, so that the probabilities are calibrated; fitted
    on the validation split, 1 without one."""
    num_temperature_images: int = 0
    """Images that the temperature was fitted on; 0 if none was fitted, or if it is not known, as in
    imported files and those of earlier versions."""

    @property
    def stored_form(self) -> StoredForm:
        """The form in which an image store keeps images for the network."""
        return StoredForm(
            resize=self.preprocessing.resize,
            resize_size=self.preprocessing.resize_size,
            store_format=self.recipe.data_options.store_format,
        )


def save_model(
    path: Path, weights: dict[str, Tensor], info: ModelInfo, mean_image: Tensor | None = None
) -> None:
    """Write a model file: a state dict, its header, and the mean image if there is one."""
    from alexnet.checkpoints.tensors import save_tensors

    extra = {} if mean_image is None else {MEAN_IMAGE: mean_image}
    save_tensors(path, {**weights, **extra}, info)


def full_precision(tensor: Tensor) -> Tensor:
    """The tensor, in float32 if it has a 16-bit float type, as files in half precision have."""
    is_half = tensor.is_floating_point() and tensor.element_size() == 2
    return tensor.float() if is_half else tensor


def load_model(path: Path) -> tuple[dict[str, Tensor], ModelInfo, Tensor | None]:
    """Load the weights, the header and the mean image of a model file.

    The file is mapped into memory as long as one of the weights is in use; Windows then refuses to
    replace it.

    Raises:
        ModelFileError: missing, damaged, of another format, or of another program.
    """
    from alexnet.checkpoints.tensors import load_tensors
    from alexnet.checkpoints.validation import check_preprocessing, check_tensors

    tensors, info = load_tensors(path, ModelInfo)
    mean_image = tensors.pop(MEAN_IMAGE, None)
    tensors = {name: full_precision(tensor) for name, tensor in tensors.items()}
    try:
        check_preprocessing(info.architecture, info.preprocessing, mean_image)
        check_tensors(info.architecture, tensors)
    except ConfigError as error:
        raise ModelFileError(f"{path} cannot be used: {error}") from error
    if len(info.class_names) != info.architecture.num_classes:
        raise ModelFileError(
            f"{path} names {len(info.class_names)} classes for "
            f"{info.architecture.num_classes} outputs"
        )
    if not 0 < info.temperature < math.inf:
        raise ModelFileError(f"{path} has the temperature {info.temperature:g}, not a positive one")
    return tensors, info, None if mean_image is None else mean_image.clone()


def find_model_file(path: str | Path) -> Path:
    """The model file at a path: the path itself, or `model.safetensors` in a run folder.

    Raises:
        ModelFileError: the path is a folder without a model, such as an unfinished run, or the
            name of an architecture.
    """
    path = Path(path_text(path))
    if str(path) in ZOO and not path.exists():
        raise ModelFileError(
            f"{path} is an architecture without weights: alexnet train DATA --arch {path} trains "
            f"it, alexnet import FILE --arch {path} takes those of a file"
        )
    if not path.is_dir():
        return path
    model = path / "model.safetensors"
    if not model.exists():
        from alexnet.checkpoints.missing_model import no_model_text  # filelock: 40 ms

        raise ModelFileError(no_model_text(path))
    return model
