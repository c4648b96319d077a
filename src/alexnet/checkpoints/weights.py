"""Weights of other files, for a network: read safely, renamed, and loaded where they match."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from alexnet.checkpoints.tensors import check_file
from alexnet.data.images.open import silence_warnings
from alexnet.errors import ModelFileError
from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_WEIGHTS_BYTES
from alexnet.io.text import error_text, shape_text
from alexnet.models.network import Network

TORCHVISION_NAMES = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}
"""From the names in torchvision's `alexnet`, which are positions in Sequential blocks, to ours."""

WRAPPERS = ("state_dict", "model")
"""Keys under which other programs' checkpoints keep their state dict."""


@dataclass(frozen=True)
class LoadReport:
    """Which weights of a file were loaded into a network."""

    loaded: tuple[str, ...]
    unused: tuple[str, ...]
    """In the file, but not in the network, with the reason: "fc8.weight (1000x4096, here 17x4096)".
    torch calls them unexpected keys."""
    missing: tuple[str, ...]
    """In the network, but not in the file: they keep their values."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by our layer names, from a safetensors file or a torch state dict.

    Pickled code is never run.

    Raises:
        ModelFileError: missing, damaged, or with anything but tensors in it.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    try:
        return _rename(path, _load(path))
    except ModelFileError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ModelFileError(f"{path} cannot be read as weights: {error_text(error)}") from error


def _load(path: Path) -> object:
    check_zip_bomb(path)
    if path.suffix == ".safetensors":
        check_file(path)
        return load_file(path)
    with silence_warnings:  # torch warns about the pickle's protocol
        return torch.load(path, map_location="cpu", weights_only=True)


def _rename(path: Path, state: object) -> dict[str, Tensor]:
    """The tensors of a state dict by our names, each checked."""
    if isinstance(state, dict):
        state = next((state[key] for key in WRAPPERS if isinstance(state.get(key), dict)), state)
    tensors = state.items() if isinstance(state, dict) else ()
    if not tensors or not all(isinstance(t, Tensor) for _, t in tensors):
        raise ModelFileError(f"{path} is not a state dict of tensors")
    renamed = {to_local_name(str(name)): tensor for name, tensor in tensors}
    if len(renamed) < len(tensors):
        raise ModelFileError(f"{path} has a layer twice, under two names")
    for name, tensor in renamed.items():
        check_tensor(path, name, tensor)
    return renamed


def check_zip_bomb(path: Path) -> None:
    """Reject a file that is too large, or that unpacks to more bytes than it has.

    A torch file is a zip archive without compression; a compressed one may unpack to any size.

    Raises:
        ValueError: too large.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes > MAX_WEIGHTS_BYTES:
            raise ValueError(f"it has {size_bytes:,} bytes; at most {MAX_WEIGHTS_BYTES:,} are read")
        if not zipfile.is_zipfile(file):
            return
        with open_zip(file) as archive:
            unpacked_bytes = sum(member.file_size for member in archive.infolist())
    if unpacked_bytes > size_bytes:
        raise ValueError(f"its {size_bytes:,} bytes unpack to {unpacked_bytes:,}")


def check_tensor(path: Path, name: str, tensor: Tensor) -> None:
    """Reject a tensor that is not a dense array of finite real numbers.

    Raises:
        ModelFileError: names the tensor.
    """
    is_dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not is_dense or tensor.is_quantized or tensor.is_complex():
        raise ModelFileError(f"{path}: {name} is not a dense array of real numbers")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelFileError(f"{path}: {name} claims {tensor.numel():,} numbers and has fewer")
    if not bool(torch.isfinite(tensor).all()):
        raise ModelFileError(f"{path}: {name} has values that are not finite")


def to_local_name(name: str) -> str:
    """Our name of a parameter: "conv1.weight" for torchvision's "features.0.weight"."""
    layer, dot, kind = name.removeprefix("module.").rpartition(".")
    return f"{TORCHVISION_NAMES.get(layer, layer)}{dot}{kind}"


def load_matching_weights(network: Network, weights: dict[str, Tensor]) -> LoadReport:
    """Copy every tensor whose name and shape match one of the network's.

    Raises:
        ModelFileError: no weight matches; the message names the first mismatch.
    """
    own = network.state_dict()
    matches = {name: name in own and own[name].shape == t.shape for name, t in weights.items()}
    matrices = [name for name, tensor in weights.items() if tensor.ndim > 1] or list(weights)
    if not any(matches[name] for name in matrices):  # biases and step counters match by accident
        first = _mismatch(matrices[0], weights[matrices[0]], own.get(matrices[0]))
        raise ModelFileError(f"none of the weights fit {network.architecture.name}; first: {first}")
    loaded = tuple(name for name, is_match in matches.items() if is_match)
    for name in loaded:
        own[name].copy_(weights[name])
    return LoadReport(
        loaded=loaded,
        unused=tuple(
            _mismatch(name, weights[name], own.get(name))
            for name, is_match in matches.items()
            if not is_match
        ),
        missing=tuple(name for name in own if not matches.get(name)),
    )


def _mismatch(name: str, tensor: Tensor, own: Tensor | None) -> str:
    here = "no such tensor here" if own is None else f"here {shape_text(own.shape)}"
    return f"{name} ({shape_text(tensor.shape)}, {here})"
