"""Weights from other files into a network: read safely, renamed, and taken where they fit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from alexnet.errors import ModelFileError
from alexnet.network import Network

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
class Taken:
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
        state = _load(path)
    except Exception as error:  # a damaged pickle can raise anything; nothing in it is ever run
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(f"{path} cannot be read as weights: {reason}") from error
    if isinstance(state, dict):
        state = next((state[key] for key in WRAPPERS if isinstance(state.get(key), dict)), state)
    tensors = state.items() if isinstance(state, dict) else ()
    if not tensors or not all(isinstance(t, Tensor) for _, t in tensors):
        raise ModelFileError(f"{path} is not a state dict of tensors")
    return {our_name(name): tensor for name, tensor in tensors}


def _load(path: Path) -> object:
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch remarks on the pickle's protocol
        return torch.load(path, map_location="cpu", weights_only=True)


def our_name(name: str) -> str:
    """A parameter's name here: torchvision's "features.0.weight" is "conv1.weight"; others stay."""
    layer, dot, kind = name.removeprefix("module.").rpartition(".")
    return f"{TORCHVISION_NAMES.get(layer, layer)}{dot}{kind}"


def take_what_fits(network: Network, weights: dict[str, Tensor]) -> Taken:
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
    return Taken(
        taken=tuple(name for name, is_fit in fits.items() if is_fit),
        left=tuple(_reason(n, weights[n], own.get(n)) for n, is_fit in fits.items() if not is_fit),
        fresh=tuple(name for name in own if not fits.get(name)),
    )


def _reason(name: str, tensor: Tensor, own: Tensor | None) -> str:
    shape = "x".join(map(str, tensor.shape))
    here = "no such tensor here" if own is None else "here " + "x".join(map(str, own.shape))
    return f"{name} ({shape}, {here})"
