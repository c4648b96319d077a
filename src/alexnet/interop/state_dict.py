"""A network from a file of weights alone, where every tensor must fit."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from alexnet.checkpoints.weights import read_weights
from alexnet.errors import ModelFileError
from alexnet.interop.match import MatchedModel
from alexnet.io.downloads import download
from alexnet.io.paths import cache_folder, find
from alexnet.models.architecture import Architecture
from alexnet.models.layers import FullyConnected
from alexnet.models.limits import check_limits
from alexnet.models.network import Network
from alexnet.models.variants import variant

TORCHVISION_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
TORCHVISION_SHA256_PREFIX = "7be5be79"
"""torchvision names its files after the first digits of their checksum."""


def read_state_dict(path: Path, table: Architecture, input_size: int = 0) -> MatchedModel:
    """The table with as many classes as the file has, and the file's weights.

    Raises:
        ModelFileError: damaged, or not exactly this net; the first mismatch is named.
    """
    weights = read_weights(path)
    last = next(one.name for one in reversed(table.layers) if isinstance(one, FullyConnected))
    final = weights.get(f"{last}.weight")
    classes = final.shape[0] if final is not None and final.ndim == 2 else 0
    fitted = variant(table, classes=classes, input_size=input_size)
    check_limits(fitted)
    return MatchedModel(fitted, _strictly(path, weights, fitted))


def _strictly(path: Path, weights: dict[str, Tensor], table: Architecture) -> dict[str, Tensor]:
    """The weights in the network's order, when none is missing, of another shape, or left over."""
    own = _empty(table)
    for name, tensor in own.items():
        if name not in weights and not name.endswith(".num_batches_tracked"):
            raise ModelFileError(
                f"{path.name} is not {table.name}: it lacks {name} ({_times(tensor)})"
            )
        if name in weights and weights[name].shape != tensor.shape:
            raise ModelFileError(
                f"{path.name} is not {table.name}: {name} is {_times(tensor)} here "
                f"and {_times(weights[name])} in the file"
            )
    if left := [name for name in weights if name not in own]:
        raise ModelFileError(
            f"{path.name} is not {table.name}: it also has {left[0]} ({_times(weights[left[0]])})"
        )
    return {name: weights[name].to(own[name].dtype) for name in own if name in weights}


def _empty(table: Architecture) -> dict[str, Tensor]:
    """The names, shapes and types of a network's tensors."""
    import torch

    with torch.device("meta"):
        return dict(Network(table).state_dict())


def _times(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"


def torchvision_weights(data_root: str = "") -> Path:
    """The published weights of torchvision's alexnet: from the data folders, else downloaded.

    Raises:
        MissingDataError: not here, and it cannot be fetched; the message says where to put it.
    """
    name = TORCHVISION_URL.rpartition("/")[2]
    return find(data_root, (name,)) or download(
        TORCHVISION_URL,
        cache_folder() / "data" / name,
        sha256_prefix=TORCHVISION_SHA256_PREFIX,
    )
