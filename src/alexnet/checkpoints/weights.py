"""Read weights of other programs without running code, rename them, and load those that match."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from alexnet.checkpoints.checkpoint_content import (
    WEIGHT_NAME,
    Stored,
    describe_content,
    find_class_names,
    find_tensors,
    is_average,
    is_earlier,
    tensor_size,
)
from alexnet.checkpoints.file_format import DESCRIPTIONS, REMEDIES, FileFormat, file_format
from alexnet.checkpoints.layer_names import local_names
from alexnet.checkpoints.missing_model import no_model_text
from alexnet.checkpoints.numpy_file import open_npy, open_npz
from alexnet.checkpoints.tensors import check_file
from alexnet.checkpoints.torch_file import (
    open_legacy_torch_file,
    open_pickle,
    open_torch_file,
)
from alexnet.errors import ModelFileError
from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_WEIGHTS_BYTES
from alexnet.io.text import error_text, shape_text
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network

ONE_NETWORK = (
    "if it holds two networks, save one of them: torch.save(checkpoint['NAME'], 'weights.pth'); "
    "if it is one network with more layers, such as a head of two, name a table of them: "
    "--arch nets.py:NAME"
)
MAX_NAMES = 8
"""Names of tensors in one note."""


@dataclass(frozen=True)
class ForeignWeights:
    """The weights of a network, read from another program's file."""

    tensors: dict[str, Tensor]
    """The tensors by our layer names; one that belongs to no layer keeps its name in the file."""
    notes: tuple[str, ...] = ()
    """Sentences for the user on how the weights were found; usually none."""
    class_names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The key and the names of every list of class names in the file; of any length."""


@dataclass(frozen=True)
class LoadReport:
    """Which weights of a file were loaded into a network."""

    loaded: tuple[str, ...]
    unused: tuple[str, ...]
    """Tensors of the file that were not loaded, with the reason: "fc8.weight (1000x4096, here
    17x4096)". torch calls them unexpected keys."""
    missing: tuple[str, ...]
    """Tensors of the network that were not loaded, and keep their values."""


def weights_file(path: Path) -> Path:
    """The file of weights at a path; for a run folder, its model, else its latest checkpoint.

    Raises:
        ModelFileError: the path is a folder with neither.
    """
    if not path.is_dir():
        return path
    model = path / "model.safetensors"
    steps = path.glob("checkpoints/step-*.safetensors")
    checkpoints = sorted(steps, key=lambda step: _natural_order(step.name))
    found = [model] if model.is_file() else checkpoints[-1:]
    if not found:
        raise ModelFileError(no_model_text(path))
    return found[0]


def read_weights(path: Path, arch: Architecture, *, average: bool = False) -> ForeignWeights:
    """Read a safetensors file, or the checkpoint of any trainer that uses torch.

    Nothing in the file is run. The state dict may lie under any keys, and its names may have any
    prefix.

    Args:
        path: the file; its format is detected from its content.
        arch: the architecture whose layers give the names.
        average: whether to take the averaged (EMA) weights, where the file has both.

    Raises:
        ModelFileError: missing, damaged, or without the weights of a network.
    """
    if not path.exists():
        raise ModelFileError(f"there is no file {path}")
    try:
        with _open(path) as content:
            return _take(path, content, arch, average)
    except ModelFileError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ModelFileError(f"{path} cannot be read as weights: {error_text(error)}") from error


@contextmanager
def _open_safetensors(path: Path) -> Iterator[object]:
    check_file(path)
    tensors = load_file(path)
    yield {name: tensors[name] for name in sorted(tensors, key=_natural_order)}


OPENERS: dict[FileFormat, Callable[[Path], AbstractContextManager[object]]] = {
    "safetensors": _open_safetensors,
    "torch": open_torch_file,
    "torch_legacy": open_legacy_torch_file,
    "pickle": open_pickle,
    "npy": open_npy,
    "npz": open_npz,
}
"""The functions that open the formats that are read here."""


def _open(path: Path) -> AbstractContextManager[object]:
    """A context manager that gives the content of a file, read by its format."""
    found = file_format(path)
    if found != "folder":
        check_size(path, is_torch_zip=found == "torch")
    if found not in OPENERS:
        remedy = REMEDIES.get(found, "").format(file=path.name)
        raise ModelFileError(
            f"{path} cannot be read as weights: it is {DESCRIPTIONS[found]}{remedy}"
        )
    return OPENERS[found](path)


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key that puts "net.3" before "net.10": safetensors does not keep the tensors' order."""
    return [(int(part or 0), text) for text, part in re.findall(r"([^0-9]*)([0-9]*)", name)]


def _take(path: Path, content: object, arch: Architecture, average: bool) -> ForeignWeights:
    """The weights in a checkpoint's content, checked and by our names."""
    stored, left_out = find_tensors(content)
    if not stored:
        reason = describe_content(path.name, content)
        raise ModelFileError(f"{path} is not a state dict of tensors: {reason}")
    chosen, notes = _choose(path, stored, average)
    shapes = {name: tensor_size(tensor) for name, tensor in chosen.items()}
    try:
        local = local_names(shapes, arch)
    except ValueError as error:
        raise ModelFileError(
            f"{path.name} is not {arch.name}: it {error}; {ONE_NETWORK}"
        ) from error
    tensors = {local.names[name]: _load(path, name, tensor) for name, tensor in chosen.items()}
    if local.by_order:
        order = ", ".join(local.by_order)
        notes = (*notes, f"{path.name} has layer names of its own, matched by shape: {order}")
    if left_out:
        notes = (*notes, f"{path.name}: left out: {_names_text(left_out)}")
    return ForeignWeights(tensors, notes, tuple(find_class_names(content)))


def _names_text(names: tuple[str, ...]) -> str:
    """The first MAX_NAMES names, and the number of the others."""
    more = len(names) - MAX_NAMES
    return f"{', '.join(names[:MAX_NAMES])}{f' and {more} more' if more > 0 else ''}"


def _choose(
    path: Path, stored: dict[str, Stored], average: bool
) -> tuple[dict[str, Stored], tuple[str, ...]]:
    """The current or the averaged weights of a file, and a note if it has others as well."""
    averaged = {name: tensor for name, tensor in stored.items() if is_average(name)}
    if average and not averaged:
        raise ModelFileError(f"{path} has no averaged weights (EMA); leave out --weights ema")
    earlier = {name: tensor for name, tensor in stored.items() if is_earlier(name)}
    current = {name: t for name, t in stored.items() if name not in averaged | earlier}
    chosen = averaged if average else current or earlier or averaged
    others = [name for name in stored if name not in chosen and WEIGHT_NAME.search(name)]
    if not others:
        return chosen, ()
    taken = f"{path.name}: {next(iter(chosen))}, .. are taken and {others[0]}, .. left out"
    has_average = any(name in averaged for name in others)
    hint = "; alexnet import --weights ema takes the averaged weights (EMA)"
    return chosen, (f"{taken}{hint if has_average else ''}",)


def _load(path: Path, name: str, stored: Stored) -> Tensor:
    """Load one tensor and check it.

    Raises:
        ModelFileError: it is not a dense array of finite real numbers.
    """
    try:
        tensor = stored if isinstance(stored, Tensor) else stored.load()
    except ValueError as error:
        raise ModelFileError(f"{path}: {name} {error}") from error
    check_tensor(path, name, tensor)
    return tensor


def check_size(path: Path, is_torch_zip: bool) -> None:
    """Reject a file that is too large, or that unpacks to more bytes than it has.

    torch's zip archives are not compressed; a compressed one may unpack to any size.

    Raises:
        ValueError: too large.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes > MAX_WEIGHTS_BYTES:
            raise ValueError(f"it has {size_bytes:,} bytes; at most {MAX_WEIGHTS_BYTES:,} are read")
        if not is_torch_zip:
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
    if tensor.ndim > 1 and not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ModelFileError(
            f"{path}: {name} holds {kind} values, as of a quantized network; save the weights of "
            "the network that it was made from"
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelFileError(f"{path}: {name} claims {tensor.numel():,} numbers and has fewer")
    if not bool(torch.isfinite(tensor).all()):
        raise ModelFileError(f"{path}: {name} has values that are not finite")


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
    _check_convolutions(network, weights, matches)
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


def _check_convolutions(
    network: Network, weights: dict[str, Tensor], matches: dict[str, bool]
) -> None:
    """Reject weights of which fully connected layers match the network's, but no convolution.

    Two networks that differ everywhere else can have the same fc7.
    """
    dims = {weights[name].ndim for name, is_match in matches.items() if is_match}
    if 2 not in dims or 4 in dims:
        return
    own = network.state_dict()
    conv = next(name for name, tensor in own.items() if tensor.ndim == 4)
    other = next((name for name, tensor in weights.items() if tensor.ndim == 4), "")
    first = _mismatch(other, weights[other], own.get(other)) if other else f"there is no {conv}"
    raise ModelFileError(
        f"fully connected layers of the file fit {network.architecture.name}, but none of its "
        f"convolutions does; first: {first}"
    )


def _mismatch(name: str, tensor: Tensor, own: Tensor | None) -> str:
    here = "no such tensor here" if own is None else f"here {shape_text(own.shape)}"
    return f"{name} ({shape_text(tensor.shape)}, {here})"
