"""The files of a pretraining's run folder.

`config.json`, `environment.json`, `metrics.jsonl` (one `LayerRecord` a line), `model.safetensors`
(the finished layers as the classifier's weights), `layers.safetensors` (the auto-encoders or RBMs
themselves, for resuming), `result.json` and `plots/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from alexnet.checkpoints.pretrained_layers import PretrainedInfo
from alexnet.checkpoints.tensors import load_tensors, save_tensors
from alexnet.config.recipe import SplitMethod
from alexnet.config.recipe_changes import flag_text, recipe_changes
from alexnet.config.serialization import from_dict, json_text, parse_json, to_json
from alexnet.data.store.store import Rejected
from alexnet.errors import ConfigError, ModelFileError
from alexnet.io.files import append_text, read_regular, write_text
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.parallel.world import on_main
from alexnet.pretraining.channel_stats import ChannelStats
from alexnet.pretraining.recipe import (
    PretrainRecipe,
    recipe_from_dict,
    recipe_to_dict,
    recipe_to_json,
)
from alexnet.pretraining.records import LayerRecord
from alexnet.pretraining.setup import PretrainingSetup
from alexnet.pretraining.stack import PretrainedLayer
from alexnet.training.run_folder import RunFolder

CHANGEABLE_ON_RESUME = ("name", "data", "data_root", "device", "devices", "up_to")
"""Options that may be changed in config.json before a pretraining is resumed: they do not affect
the finished layers, or the fingerprint of the images covers them (`data`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayersInfo:
    """The header of `layers.safetensors`."""

    fingerprint: str
    """Fingerprint of the image store."""
    layers: tuple[str, ...]
    """The finished conv layers."""
    recipe: str = ""
    """The options that decide the layers, as JSON; "" in files of earlier versions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerResult:
    """A finished layer, with the values of its last epoch; see `LayerRecord`."""

    layer: str
    epochs: int
    train_error: float
    """Mean squared reconstruction error of training images, divided by the input's variance."""
    val_error: float | None
    """Mean squared reconstruction error of validation images, divided by the input's variance; None
    without them."""
    activation_rate: float
    """Auto-encoder: fraction of the code that is not zero. RBM: mean hidden probability."""
    free_energy_gap: float
    """RBM: mean free energy of validation images minus that of training images, per input value; 0
    for auto-encoders and without validation images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingResult:
    """The contents of `result.json`."""

    kind: str
    """autoencoder or rbm."""
    layers: tuple[LayerResult, ...]
    num_train_images: int
    num_val_images: int
    num_test_images: int
    """Number of test images, which were not used."""
    split_seed: int
    split: SplitMethod = "stratified"
    """How validation and test images were held out, where the data set has no splits of its own."""
    rejected: tuple[Rejected, ...]
    """Images that could not be used."""
    training_seconds: float


@on_main
def write_recipe(folder: RunFolder, recipe: PretrainRecipe) -> None:
    """Write `config.json`."""
    write_text(folder.config, recipe_to_json(recipe))


def layers_file(folder: RunFolder) -> Path:
    """The file of the auto-encoders or RBMs, with their decoders or visible biases."""
    return folder.path / "layers.safetensors"


@on_main
def save_finished(
    setup: PretrainingSetup, layers: Sequence[PretrainedLayer], folder: RunFolder
) -> None:
    """Write the finished layers, first as they are, then as the classifier's weights."""
    tensors = {
        f"{layer.stage.name}:{key}": tensor
        for layer in layers
        for key, tensor in layer.state_dict().items()
    }
    names = tuple(layer.stage.name for layer in layers)
    info = LayersInfo(
        fingerprint=setup.store.info.fingerprint,
        layers=names,
        recipe=decisive_options(setup.recipe),
    )
    save_tensors(layers_file(folder), tensors, info)
    header = PretrainedInfo(
        pretrained=names,
        kind=setup.recipe.kind,
        architecture=setup.network.architecture,
        preprocessing=setup.preprocessing,
        manifest_hash=setup.store.manifest_hash(setup.recipe.data_options.split),
        data_options=setup.recipe.data_options,
        seed=setup.recipe.seed,
    )
    save_tensors(folder.model, finished_weights(setup, layers), header)


def finished_weights(
    setup: PretrainingSetup, layers: Sequence[PretrainedLayer]
) -> dict[str, Tensor]:
    """The network's tensors that belong to finished stages, under the network's names."""
    names = {info.layer.name for layer in layers for info in layer.stage.layers}
    state = setup.network.state_dict()
    return {key: tensor for key, tensor in state.items() if key.partition(".")[0] in names}


def load_finished(setup: PretrainingSetup, folder: RunFolder) -> list[PretrainedLayer]:
    """The finished layers of an interrupted pretraining; an empty list if the first was unfinished.

    Raises:
        ModelFileError: the file is damaged, or belongs to other images or another architecture.
    """
    path = layers_file(folder)
    if not path.exists():
        return []
    tensors, info = load_tensors(path, LayersInfo)
    if info.fingerprint != setup.store.info.fingerprint:
        raise ModelFileError(
            f"the images of {setup.store.info.name} have changed since {folder.path} was stopped; "
            "restore them, or start a new pretraining"
        )
    names = [stage.name for stage in setup.stages]
    if list(info.layers) != names[: len(info.layers)]:
        raise ModelFileError(f"{path} holds {', '.join(info.layers)}, not {', '.join(names)}")
    try:
        return [_load_layer(setup, index, tensors) for index in range(len(info.layers))]
    except RuntimeError as error:
        raise ModelFileError(f"{path} belongs to another architecture: {error}") from error


def check_unchanged(folder: RunFolder, recipe: PretrainRecipe) -> None:
    """As `check_recipe`, against the options saved with the finished layers, if there are any.

    Raises:
        ModelFileError: their file is damaged.
        ConfigError: an option that decides them has changed.
    """
    path = layers_file(folder)
    if path.exists():
        check_recipe(folder, recipe, load_tensors(path, LayersInfo)[1].recipe)


def decisive_options(recipe: PretrainRecipe) -> str:
    """The recipe's kind and the options that its layers depend on, as JSON."""
    plain = recipe_to_dict(recipe)
    kept = {name: value for name, value in plain.items() if name not in CHANGEABLE_ON_RESUME}
    return json_text(kept, indent=None)


def check_recipe(folder: RunFolder, recipe: PretrainRecipe, saved: str) -> None:
    """Reject a config.json that was changed while the pretraining was stopped.

    Args:
        folder: of the pretraining.
        recipe: in its config.json.
        saved: the `decisive_options` of its finished layers; "" if they are not known.

    Raises:
        ConfigError: an option that decides the layers has changed.
    """
    if not saved:
        return
    before = recipe_from_dict(parse_json(saved), layers_file(folder))
    for change in recipe_changes((before, recipe)):
        if change.option not in CHANGEABLE_ON_RESUME:
            raise ConfigError(
                f"{folder.config} has changed since the pretraining was stopped ({change.flag} was "
                f"{flag_text(change.values[0])}): restore it, or start a new one with --config"
            )


def _load_layer(setup: PretrainingSetup, index: int, tensors: dict[str, Tensor]) -> PretrainedLayer:
    """The finished layer of this index, from the tensors of all layers."""
    stage = setup.stages[index]
    any_stats = ChannelStats(torch.zeros(stage.in_channels), torch.ones(stage.in_channels))
    layer = setup.build_layer(index, any_stats)  # its tensors are all replaced
    prefix = f"{stage.name}:"
    own = [key for key in tensors if key.startswith(prefix)]
    layer.load_state_dict({key.removeprefix(prefix): tensors[key] for key in own})
    return layer.eval()


@on_main
def add_record(folder: RunFolder, record: LayerRecord) -> None:
    """Append a line to `metrics.jsonl`."""
    append_text(folder.metrics, to_json(record, indent=None) + "\n")


@on_main
def write_records(folder: RunFolder, history: Iterable[LayerRecord]) -> None:
    """Replace `metrics.jsonl`."""
    write_text(folder.metrics, "".join(to_json(record, indent=None) + "\n" for record in history))


@on_main
def write_result(folder: RunFolder, result: PretrainingResult) -> None:
    """Write `result.json`, which marks the pretraining as finished."""
    write_text(folder.result, to_json(result) + "\n")


def read_result(folder: RunFolder) -> PretrainingResult:
    """The contents of a finished pretraining's `result.json`.

    Raises:
        ConfigError: it is damaged or of another version.
    """
    plain = parse_json(read_regular(folder.result, MAX_RESULT_BYTES))
    return from_dict(PretrainingResult, plain, str(folder.result))


def read_records(folder: RunFolder) -> list[LayerRecord]:
    """The epochs of all layers in `metrics.jsonl`; an incomplete last line is skipped."""
    if not folder.metrics.exists():
        return []
    lines = folder.metrics.read_text(encoding="utf-8").split("\n")[:-1]
    return [from_dict(LayerRecord, json.loads(line)) for line in lines]
