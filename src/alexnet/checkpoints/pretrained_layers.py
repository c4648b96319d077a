"""Layers that were pretrained without labels, as a file that a training can begin from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from alexnet.checkpoints.tensors import CHECKSUM, HEADER_KEY
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import from_dict, parse_json
from alexnet.data.store.store import Store
from alexnet.errors import ConfigError
from alexnet.models.architecture import Architecture

LARGEST_RATIO = 1.5
"""Of two divisors, up to which inputs are taken to be on one scale."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainedInfo:
    """What the header of such a file says, beside the weights."""

    pretrained: tuple[str, ...]
    """The finished conv layers."""
    kind: str
    """How: autoencoder or rbm."""
    architecture: Architecture
    """Up to what follows the last layer that was asked for."""
    preprocessing: Preprocessing
    manifest_hash: str
    """Digest of the data set's names, labels and splits."""
    test_hash: str
    """Digest of the test pictures, which were never looked at."""
    split_seed: int


def hash_indices(rows: np.ndarray) -> str:
    """Sixteen hex digits of some rows of a store; "" for none."""
    data = np.ascontiguousarray(rows, dtype=np.int64).tobytes()
    return hashlib.blake2b(data, digest_size=8).hexdigest() if data else ""


def read_pretrained(path: Path) -> PretrainedInfo | None:
    """The header of a file of pretrained layers; None for any other file."""
    try:
        with safe_open(path, framework="numpy") as file:
            plain = parse_json((file.metadata() or {}).get(HEADER_KEY, "null"))
        if not isinstance(plain, dict) or "pretrained" not in plain:
            return None
        return from_dict(PretrainedInfo, {k: v for k, v in plain.items() if k != CHECKSUM})
    except (SafetensorError, OSError, ConfigError, ValueError, RecursionError):
        return None


def compatibility_warnings(
    info: PretrainedInfo, preprocessing: Preprocessing, store: Store, test: np.ndarray
) -> list[str]:
    """What a training should know before it begins from such layers: sentences, mostly none.

    Args:
        info: of the pretrained layers.
        preprocessing: of the training.
        store: its pictures.
        test: rows of its test pictures.
    """
    found = []
    pairs = zip(info.preprocessing.std, preprocessing.std, strict=True)
    if any(not 1 / LARGEST_RATIO < there / here < LARGEST_RATIO for there, here in pairs):
        found.append(
            f"the layers learnt from inputs divided by {info.preprocessing.std[0]:.3g}, and "
            f"this training divides by {preprocessing.std[0]:.3g}: pretrain with its --scale"
        )
    if info.manifest_hash == store.manifest_hash() and info.test_hash != hash_indices(test):
        found.append(
            "the layers may have learnt, without labels, from pictures that are in the test here: "
            f"train with --split-seed {info.split_seed} and the pretraining's shares"
        )
    return found
