"""Files of layers that were pretrained without labels, to initialize a network from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.checkpoints.file_header import read_header
from alexnet.checkpoints.tensors import CHECKSUM_KEY, FORMAT_KEY, check_format
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import DataOptions
from alexnet.config.serialization import from_dict, own_file_error
from alexnet.data.store.store import Store
from alexnet.data.trained_on import EarlierTraining, trained_on_warning
from alexnet.errors import ConfigError, ModelFileError
from alexnet.models.architecture import Architecture

LAYERS_FORMAT = 2
"""Number of this header's format (the file has one of its own); other numbers are rejected."""
MAX_STD_RATIO = 1.5
"""Ratio of the input's std in pretraining and in training up to which no warning is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainedInfo:
    """The header of a file of pretrained layers."""

    pretrained: tuple[str, ...]
    """The finished conv layers."""
    kind: str
    """How they were pretrained: "autoencoder" or "rbm"."""
    architecture: Architecture
    """The architecture, cut off after the last stage that was to be pretrained."""
    preprocessing: Preprocessing
    manifest_hash: str
    """`Store.manifest_hash` of the data of the pretraining, for its split."""
    data_options: DataOptions
    """Options that, with the seed and the data set, give the images of the pretraining again."""
    seed: int
    layers_format: int = LAYERS_FORMAT


def read_pretrained(path: Path) -> PretrainedInfo | None:
    """The header of a file of pretrained layers; None for any other file.

    Raises:
        ModelFileError: pretrained layers of another format, or a damaged header of them.
    """
    plain = read_header(path)
    if "pretrained" not in plain:
        return None
    check_format(path, plain.get(FORMAT_KEY, 1))
    check_format(path, plain.get("layers_format", 1), LAYERS_FORMAT, "pretrain the layers again")
    added = (FORMAT_KEY, CHECKSUM_KEY)
    try:
        return from_dict(PretrainedInfo, {k: v for k, v in plain.items() if k not in added})
    except ConfigError as error:
        raise ModelFileError(f"{path} cannot be used: {own_file_error(error)}") from error


def compatibility_warnings(
    info: PretrainedInfo, preprocessing: Preprocessing, store: Store, test: np.ndarray
) -> list[str]:
    """Why pretrained layers may not suit a training run: sentences, usually none.

    Args:
        info: header of the pretrained layers.
        preprocessing: of the training.
        store: its images.
        test: indices of its test images.
    """
    warnings = []
    pairs = zip(info.preprocessing.std, preprocessing.std, strict=True)
    if any(not 1 / MAX_STD_RATIO < earlier / now < MAX_STD_RATIO for earlier, now in pairs):
        warnings.append(
            f"the layers were pretrained on inputs divided by {info.preprocessing.std[0]:.3g}, and "
            f"this training divides by {preprocessing.std[0]:.3g}: pretrain with its --scale"
        )
    earlier = EarlierTraining(
        manifest_hash=info.manifest_hash, data_options=info.data_options, seed=info.seed
    )
    if text := trained_on_warning(earlier, "the layers were pretrained", store, test):
        warnings.append(text)
    return warnings
