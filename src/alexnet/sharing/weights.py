"""Small files of weights: in half precision, or without the weights of a published trunk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from alexnet.checkpoints.model_file import MEAN_IMAGE, ModelInfo, full_precision, save_model
from alexnet.checkpoints.tensors import load_tensors, save_tensors
from alexnet.config.serialization import to_json
from alexnet.errors import ModelFileError, UsageError
from alexnet.io import hub
from alexnet.io.in_use import mark_used
from alexnet.io.paths import cache_folder
from alexnet.models.architecture import Architecture
from alexnet.reporter import NullReporter, ProgressCallback, ignore_progress
from alexnet.training.initial_weights import find_source, read_source


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadInfo:
    """The header of a head file: the model, and where its other tensors are."""

    trunk: str
    """"torchvision", or "hf:OWNER/NAME[@REVISION]" as it was given. Without a revision it is the
    repository's main branch; the checksum detects a change."""
    trunk_tensors: tuple[str, ...]
    """Names, in the architecture, of the tensors that the trunk has."""
    trunk_checksum: str
    """SHA-256 of the trunk's tensors."""
    model: ModelInfo


def to_half(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with matrices and kernels in float16; vectors, which are small, are not changed.

    Raises:
        UsageError: a weight is too large for float16.
    """
    half = {n: t.half() if t.ndim > 1 and t.is_floating_point() else t for n, t in weights.items()}
    for name, tensor in half.items():
        if not bool(torch.isfinite(tensor).all()):
            raise UsageError(f"{name} has weights beyond float16's 65,504; leave out --half")
    return half


def save_head(
    path: Path,
    weights: Mapping[str, Tensor],
    info: ModelInfo,
    mean_image: Tensor | None,
    trunk: str,
    *,
    half: bool = False,
) -> int:
    """Write a model without the tensors that equal the trunk's bit for bit.

    Args:
        path: the file.
        weights: the model's state dict, in float32.
        info: the model's header.
        mean_image: the preprocessing's mean image, if it has one.
        trunk: "torchvision" or an address on the hub.
        half: whether the tensors that are written are converted by `to_half`.

    Returns:
        The number of tensors that the trunk has.

    Raises:
        UsageError: the trunk is a path, or has none of the tensors; or, with `half`, a weight is
            too large for float16.
        MissingDataError: the trunk is not found, or cannot be downloaded.
        ModelFileError: the trunk cannot be read.
    """
    if trunk != "torchvision" and not trunk.startswith(hub.PREFIX):
        raise UsageError(
            f"--head-only {trunk} must be what others can have: torchvision or hf:OWNER/NAME"
        )
    known = _trunk_tensors(trunk, info.architecture)
    same = [n for n, t in weights.items() if n in known and torch.equal(t, known[n])]
    if not same:
        raise UsageError(
            f"no weights of the model are those of {trunk}: all were trained, so there is no "
            "smaller file; --freeze-up-to LAYER trains the layers behind it alone"
        )
    kept = {name: tensor for name, tensor in weights.items() if name not in same}
    if half:
        kept = to_half(kept)
    extra = {} if mean_image is None else {MEAN_IMAGE: mean_image}
    head = HeadInfo(
        trunk=trunk,
        trunk_tensors=tuple(same),
        trunk_checksum=_checksum({name: known[name] for name in same}),
        model=info,
    )
    save_tensors(path, {**kept, **extra}, head)
    return len(same)


def assemble(path: Path, on_progress: ProgressCallback = ignore_progress) -> Path:
    """Assemble the whole model of a head file in the cache; the trunk is downloaded if necessary.

    Raises:
        ModelFileError: the file is damaged, or the trunk has changed.
        MissingDataError: the trunk is not found, or cannot be downloaded.
    """
    kept, head = load_tensors(path, HeadInfo)
    digest = hashlib.sha256(f"{_checksum(kept)} {to_json(head)}".encode()).hexdigest()
    out = cache_folder() / "heads" / digest / hub.MODEL_FILE
    mark_used(out.parent)
    if out.exists():
        return out
    if head.trunk != "torchvision" and not head.trunk.startswith(hub.PREFIX):
        raise ModelFileError(f"{path} names a trunk that is no address: {head.trunk!r}")
    known = _trunk_tensors(head.trunk, head.model.architecture, on_progress)
    trunk = {name: known[name] for name in head.trunk_tensors if name in known}
    if _checksum(trunk) != head.trunk_checksum:
        remedy = "; push it again with --head-only hf:OWNER/NAME@COMMIT, which cannot change"
        raise ModelFileError(
            f"{path} does not belong to the {head.trunk} that is found now"
            f"{'' if head.trunk == 'torchvision' else remedy}"
        )
    mean_image = kept.pop(MEAN_IMAGE, None)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_model(out, {**trunk, **kept}, head.model, mean_image)
    return out


def _trunk_tensors(
    source: str, arch: Architecture, on_progress: ProgressCallback = ignore_progress
) -> dict[str, Tensor]:
    """The tensors of a trunk in float32, by the architecture's names."""
    path = find_source(source, on_progress=on_progress)
    return {n: full_precision(t) for n, t in read_source(path, arch, NullReporter()).items()}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
