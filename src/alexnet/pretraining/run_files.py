"""What a pretraining leaves in its run folder, and how it is taken up again.

`config.json`, `environment.json`, `metrics.jsonl`, `model.safetensors` (the finished layers as the
classifier's), `layers.safetensors` (the auto-encoders or machines themselves), `result.json` and
`plots/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from alexnet.checkpoints.pretrained_layers import PretrainedInfo, hash_indices
from alexnet.checkpoints.tensors import load_tensors, save_tensors
from alexnet.config.serialization import from_dict, to_json
from alexnet.errors import ModelFileError, UsageError
from alexnet.io.files import write_text
from alexnet.pretraining.moments import Moments
from alexnet.pretraining.recipe import PretrainRecipe, recipe_text
from alexnet.pretraining.records import LayerRecord
from alexnet.pretraining.setup import PretrainedLayer, PretrainJob
from alexnet.runtime.environment import Environment
from alexnet.training.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class LayersInfo:
    """The header of `layers.safetensors`."""

    fingerprint: str
    """Of the pictures."""
    layers: tuple[str, ...]
    """The finished conv layers."""


def create_pretraining(path: Path, recipe: PretrainRecipe, environment: Environment) -> RunFolder:
    """A new run folder with its configuration.

    Raises:
        UsageError: the folder cannot be made.
    """
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {path}: {error.strerror}") from error
    write_text(path / "config.json", recipe_text(recipe))
    write_text(path / "environment.json", to_json(environment) + "\n")
    return RunFolder(path)


def layers_file(folder: RunFolder) -> Path:
    """The auto-encoders or machines themselves, decoders and visible biases included."""
    return folder.path / "layers.safetensors"


def save_finished(job: PretrainJob, layers: Sequence[PretrainedLayer], folder: RunFolder) -> None:
    """Write the finished layers, first as they are, then as the classifier's."""
    tensors = {
        f"{layer.stage.name}:{key}": tensor
        for layer in layers
        for key, tensor in layer.state_dict().items()
    }
    names = tuple(layer.stage.name for layer in layers)
    info = LayersInfo(fingerprint=job.store.info.fingerprint, layers=names)
    save_tensors(layers_file(folder), tensors, info)
    header = PretrainedInfo(
        pretrained=names,
        kind=job.recipe.kind,
        architecture=job.network.architecture,
        preprocessing=job.preprocessing,
        manifest_hash=job.store.manifest_hash(),
        test_hash=hash_indices(job.splits.test),
        split_seed=job.split_seed,
    )
    save_tensors(folder.model, finished_weights(job, layers), header)


def finished_weights(job: PretrainJob, layers: Sequence[PretrainedLayer]) -> dict[str, Tensor]:
    """The network's tensors that belong to finished stages, by their names there."""
    rows = {row.layer.name for layer in layers for row in layer.stage.rows}
    state = job.network.state_dict()
    return {name: tensor for name, tensor in state.items() if name.partition(".")[0] in rows}


def load_finished(job: PretrainJob, folder: RunFolder) -> list[PretrainedLayer]:
    """The finished layers of a stopped pretraining; none where the first was not finished.

    Raises:
        ModelFileError: the file is damaged, or of another table or other pictures.
    """
    path = layers_file(folder)
    if not path.exists():
        return []
    tensors, info = load_tensors(path, LayersInfo)
    if info.fingerprint != job.store.info.fingerprint:
        raise ModelFileError(
            f"the pictures of {job.store.info.name} have changed since {folder.path} was stopped; "
            "bring them back, or start a new pretraining"
        )
    names = [stage.name for stage in job.stages]
    if list(info.layers) != names[: len(info.layers)]:
        raise ModelFileError(f"{path} holds {', '.join(info.layers)}, not {', '.join(names)}")
    layers = []
    for index, name in enumerate(info.layers):
        channels = job.stages[index].in_channels
        layer = job.layer(index, Moments(torch.zeros(channels), torch.ones(channels)))
        own = {
            key.removeprefix(f"{name}:"): tensor
            for key, tensor in tensors.items()
            if key.startswith(f"{name}:")
        }
        try:
            layer.load_state_dict(own)
        except RuntimeError as error:
            raise ModelFileError(f"{path} belongs to another table: {error}") from error
        layers.append(layer.eval())
    return layers


def add_record(folder: RunFolder, record: LayerRecord) -> None:
    """Add one line to `metrics.jsonl`."""
    with folder.metrics.open("a", encoding="utf-8") as file:
        file.write(to_json(record, indent=None) + "\n")


def write_records(folder: RunFolder, history: Iterable[LayerRecord]) -> None:
    """Write all lines of `metrics.jsonl` anew."""
    write_text(folder.metrics, "".join(to_json(record, indent=None) + "\n" for record in history))


def read_records(folder: RunFolder) -> list[LayerRecord]:
    """The finished epochs of all layers; a line that a kill has torn is left out."""
    if not folder.metrics.exists():
        return []
    lines = folder.metrics.read_text(encoding="utf-8").split("\n")[:-1]
    return [from_dict(LayerRecord, json.loads(line)) for line in lines]
