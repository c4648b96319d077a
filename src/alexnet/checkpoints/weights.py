"""Weights from other files into a network: read safely, renamed, and taken where they fit."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from alexnet.checkpoints.tensors import check_file
from alexnet.data.images.open import QUIET
from alexnet.errors import ModelFileError
from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_WEIGHTS_BYTES
from alexnet.io.text import shape_text
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
"""torchvision's alexnet: the layer at each place of its two Sequential blocks."""

WRAPPERS = ("state_dict", "model")
"""Keys under which other programs' checkpoints keep their state dict."""


@dataclass(frozen=True)
class LoadReport:
    """What became of another file's weights."""

    taken: tuple[str, ...]
    left: tuple[str, ...]
    """In the file and not used, with the reason: "fc8.weight (1000x4096, here 17x4096)"."""
    fresh: tuple[str, ...]
    """In the network and not in the file: these keep their first values."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by our layer names, from a safetensors file or a torch state dict.

    Pickled code is never run.

    Raises:
        ModelFileError: missing, damaged, or holding anything but tensors.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    try:
        return _named(path, _load(path))
    except ModelFileError:
        raise
    except Exception as error:  # a damaged pickle can raise anything; nothing in it is ever run
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelFileError(f"{path} cannot be read as weights: {reason}") from error


def _named(path: Path, state: object) -> dict[str, Tensor]:
    """A state dict's tensors by our names, when each is what a weight can be."""
    if isinstance(state, dict):
        state = next((state[key] for key in WRAPPERS if isinstance(state.get(key), dict)), state)
    tensors = state.items() if isinstance(state, dict) else ()
    if not tensors or not all(isinstance(t, Tensor) for _, t in tensors):
        raise ModelFileError(f"{path} is not a state dict of tensors")
    named = {to_local_name(str(name)): tensor for name, tensor in tensors}
    if len(named) < len(tensors):
        raise ModelFileError(f"{path} has a layer twice, under two names")
    for name, tensor in named.items():
        check_tensor(path, name, tensor)
    return named


def check_zip_bomb(path: Path) -> None:
    """Refuse a file that is too large, or unpacks to more than it has bytes.

    A torch file is a zip archive that packs nothing; one that does may hold any amount of zeros.

    Raises:
        ValueError: it does.
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
    """Refuse a tensor that is no plain array of finite numbers with a number for each place.

    Raises:
        ModelFileError: names the tensor.
    """
    is_plain = (
        tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_complex()
    )
    if not is_plain or tensor.device.type != "cpu":
        raise ModelFileError(f"{path}: {name} is no plain array of numbers")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelFileError(f"{path}: {name} claims {tensor.numel():,} numbers and has fewer")
    if not bool(torch.isfinite(tensor).all()):
        raise ModelFileError(f"{path}: {name} holds values that are not numbers")


def _load(path: Path) -> object:
    check_zip_bomb(path)
    if path.suffix == ".safetensors":
        check_file(path)
        return load_file(path)
    with QUIET:  # torch remarks on the pickle's protocol
        return torch.load(path, map_location="cpu", weights_only=True)


def to_local_name(name: str) -> str:
    """A parameter's name here: torchvision's "features.0.weight" is "conv1.weight"; others stay."""
    layer, dot, kind = name.removeprefix("module.").rpartition(".")
    return f"{TORCHVISION_NAMES.get(layer, layer)}{dot}{kind}"


def load_matching_weights(network: Network, weights: dict[str, Tensor]) -> LoadReport:
    """Copy every tensor whose name and shape the network has.

    Raises:
        ModelFileError: nothing fits; the first mismatch is named.
    """
    own = network.state_dict()
    fits = {name: name in own and own[name].shape == t.shape for name, t in weights.items()}
    matrices = [name for name, tensor in weights.items() if tensor.ndim > 1] or list(weights)
    if not any(fits[name] for name in matrices):  # biases and step counters fit too easily
        first = _reason(matrices[0], weights[matrices[0]], own.get(matrices[0]))
        raise ModelFileError(f"none of the weights fit {network.architecture.name}; first: {first}")
    for name in (name for name, is_fit in fits.items() if is_fit):
        own[name].copy_(weights[name])
    return LoadReport(
        taken=tuple(name for name, is_fit in fits.items() if is_fit),
        left=tuple(_reason(n, weights[n], own.get(n)) for n, is_fit in fits.items() if not is_fit),
        fresh=tuple(name for name in own if not fits.get(name)),
    )


def _reason(name: str, tensor: Tensor, own: Tensor | None) -> str:
    here = "no such tensor here" if own is None else f"here {shape_text(own.shape)}"
    return f"{name} ({shape_text(tensor.shape)}, {here})"
