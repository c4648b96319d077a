"""State dicts (`.pth`, `.safetensors`), loaded strictly: names and shapes must match exactly."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from alexnet.checkpoints.weights import read_weights
from alexnet.errors import ModelFileError
from alexnet.interop.match import MatchedModel
from alexnet.io.downloads import download
from alexnet.io.paths import cache_folder, find
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture
from alexnet.models.layers import FullyConnected
from alexnet.models.limits import check_limits
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant

TORCHVISION_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
TORCHVISION_SHA256_PREFIX = "7be5be79"
"""torchvision puts the first digits of a file's SHA-256 into its name."""


def read_state_dict(path: Path, arch: Architecture, input_size: int | None = None) -> MatchedModel:
    """Read a state dict of `arch`; the number of classes comes from the file.

    Args:
        path: torchvision's names are accepted and become ours.
        arch: the architecture that the weights must match.
        input_size: side of the input in pixels; None: as published.

    Raises:
        ModelFileError: the file is damaged, or a tensor is missing, unexpected or of another
            shape; the first one is named.
    """
    weights = read_weights(path)
    last = next(layer for layer in reversed(arch.layers) if isinstance(layer, FullyConnected))
    weight = weights.get(f"{last.name}.weight")
    num_classes = None
    if weight is not None and weight.ndim == 2 and len(weight):
        num_classes = len(weight)
    arch = variant(arch, ModelOptions(input_size=input_size), num_classes=num_classes)
    check_limits(arch)
    return MatchedModel(arch, _match_tensors(path.name, weights, arch))


def _match_tensors(file: str, weights: dict[str, Tensor], arch: Architecture) -> dict[str, Tensor]:
    """The weights in the network's order and types; `num_batches_tracked` may be missing.

    Raises:
        ModelFileError: a tensor is missing, unexpected, or of another shape.
    """
    expected = _meta_state_dict(arch)
    for name, tensor in expected.items():
        if name not in weights and not name.endswith(".num_batches_tracked"):
            raise ModelFileError(
                f"{file} is not {arch.name}: it lacks {name} ({shape_text(tensor.shape)})"
            )
        if name in weights and weights[name].shape != tensor.shape:
            raise ModelFileError(
                f"{file} is not {arch.name}: {name} has shape {shape_text(weights[name].shape)}, "
                f"expected {shape_text(tensor.shape)}"
            )
    for name, tensor in weights.items():
        if name not in expected:
            raise ModelFileError(
                f"{file} is not {arch.name}: it also has {name} ({shape_text(tensor.shape)})"
            )
    return {name: weights[name].to(t.dtype) for name, t in expected.items() if name in weights}


def _meta_state_dict(arch: Architecture) -> dict[str, Tensor]:
    """Names, shapes and types of a network's tensors, without memory for them."""
    with torch.device("meta"):
        return dict(Network(arch).state_dict())


def torchvision_weights(data_root: str = "") -> Path:
    """The published weights of torchvision's `alexnet`: found in the data folders, else downloaded.

    Raises:
        MissingDataError: not found, and the download failed; the message says where to put it.
    """
    name = TORCHVISION_URL.rpartition("/")[2]
    return find(data_root, (name,)) or download(
        TORCHVISION_URL,
        cache_folder() / "data" / name,
        sha256_prefix=TORCHVISION_SHA256_PREFIX,
    )
