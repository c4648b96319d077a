"""Files of layers that were pretrained without labels, to initialize a network from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from alexnet.checkpoints.file_header import HEADER_KEY
from alexnet.checkpoints.tensors import CHECKSUM_KEY, FORMAT_KEY, check_format
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import from_dict, parse_json
from alexnet.data.store.store import Store
from alexnet.errors import ConfigError
from alexnet.models.architecture import Architecture

MAX_STD_RATIO = 1.5
"""Between the input's std in pretraining and training, up to which no warning is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainedInfo:
    """The header of a file of pretrained layers."""

    pretrained: tuple[str, ...]
    """The finished conv layers."""
    kind: str
    """How they were pretrained: "autoencoder" or "rbm"."""
    architecture: Architecture
    """Cut off after the last stage that was to be pretrained."""
    preprocessing: Preprocessing
    manifest_hash: str
    """Hash of the data set's names, labels and splits."""
    test_hash: str
    """Hash of the indices of the test images, which pretraining did not use."""
    split_seed: int


def hash_indices(indices: np.ndarray) -> str:
    """Sixteen hex digits over image indices of a store; "" for none."""
    data = np.ascontiguousarray(indices, dtype=np.int64).tobytes()
    return hashlib.blake2b(data, digest_size=8).hexdigest() if data else ""


def read_pretrained(path: Path) -> PretrainedInfo | None:
    """The header of a file of pretrained layers; None for any other file.

    Raises:
        ModelFileError: pretrained layers of another format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            plain = parse_json((file.metadata() or {}).get(HEADER_KEY, "null"))
        if not isinstance(plain, dict) or "pretrained" not in plain:
            return None
        check_format(path, plain.get(FORMAT_KEY, 1))
        added = (FORMAT_KEY, CHECKSUM_KEY)
        return from_dict(PretrainedInfo, {k: v for k, v in plain.items() if k not in added})
    except (SafetensorError, OSError, ConfigError, ValueError, RecursionError):
        return None


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
    if info.manifest_hash == store.manifest_hash() and info.test_hash != hash_indices(test):
        warnings.append(
            "the layers may have been pretrained on images that are now in the test split: "
            f"train with --split-seed {info.split_seed} and the fractions of the pretraining"
        )
    return warnings
