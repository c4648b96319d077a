"""Pretraining: layer after layer, each on what the finished ones below it make of the pictures.

Everything random is a function of (seed, layer, step), so a pretraining that was stopped and goes
on with its unfinished layer ends in the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from alexnet.config.serialization import to_dict
from alexnet.errors import ModelFileError, TrainingError, UsageError
from alexnet.io.files import write_text
from alexnet.pretraining.plots import draw
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.recipe import PretrainRecipe, read_pretrain_recipe
from alexnet.pretraining.records import LayerRecord, PretrainReporter, SilentPretraining
from alexnet.pretraining.run_files import (
    add_record,
    create_pretraining,
    load_finished,
    read_records,
    save_finished,
    write_records,
)
from alexnet.pretraining.setup import (
    PretrainedLayer,
    PretrainJob,
    make_pretraining_ready,
)
from alexnet.pretraining.train_layer import train_layer
from alexnet.pretraining.transfer import transfer
from alexnet.runtime.environment import describe_environment
from alexnet.training.run_folder import RunFolder, free_run_path
from alexnet.training.setup import resolve_paths
from alexnet.training.trainer import warn_if_environment_changed


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A finished pretraining."""

    folder: RunFolder
    """`folder.model` is what `Recipe.init_from` takes."""
    history: tuple[LayerRecord, ...]


def pretrain(
    recipe: PretrainRecipe, *, out: str | Path = "", reporter: PretrainReporter | None = None
) -> Pretrained:
    """Pretrain the conv layers of a network without labels, into a new run folder.

    Args:
        recipe: an `AutoencoderRecipe` or `RbmRecipe`; `RbmRecipe.before(recipe)` gives the one
            whose layers a training by `recipe` can take.
        out: the run folder; `runs/<name>-<kind>-<number>` unless given.
        reporter: told what happens.

    Raises:
        AlexNetError: the recipe or the data cannot work, or the error is not finite.
    """
    reporter = reporter or SilentPretraining()
    recipe = resolve_paths(recipe)
    path = Path(out) if out else free_run_path(Path("runs"), f"{recipe.name}-{recipe.kind}")
    if path.exists():
        raise UsageError(
            f"{path} exists; choose another --out, or go on with it by --resume {path}"
        )
    job = make_pretraining_ready(recipe, reporter)
    folder = create_pretraining(path, recipe, describe_environment(job.device))
    return _finish(job, [], folder, reporter)


def resume_pretraining(path: str | Path, *, reporter: PretrainReporter | None = None) -> Pretrained:
    """Go on with a stopped pretraining: finished layers are kept, the one it was in begins anew.

    Raises:
        ModelFileError: not the folder of a pretraining, or a damaged one.
        TrainingError: it has ended already.
    """
    reporter = reporter or SilentPretraining()
    folder = RunFolder(Path(path))
    if not folder.config.is_file():
        raise ModelFileError(f"{path} is not a run folder: it has no config.json")
    recipe = read_pretrain_recipe(folder.config)
    if folder.result.exists():
        raise TrainingError(f"{path} has ended already; its model is {folder.model}")
    job = make_pretraining_ready(recipe, reporter)
    warn_if_environment_changed(folder, describe_environment(job.device), reporter)
    layers = load_finished(job, folder)
    folder.remove_temp_files()
    for index, layer in enumerate(layers):
        load_into_network(job, layer, layers[:index])
    reporter.note(f"going on after {layers[-1].stage.name}" if layers else "beginning anew")
    return _finish(job, layers, folder, reporter)


def _finish(
    job: PretrainJob, layers: list[PretrainedLayer], folder: RunFolder, reporter: PretrainReporter
) -> Pretrained:
    """Train the layers that are missing, then draw and sum up."""
    done = {layer.stage.name for layer in layers}
    history = [record for record in read_records(folder) if record.layer in done]
    write_records(folder, history)
    reporter.note(f"run folder {folder.path}")

    def record(figures: LayerRecord) -> None:
        history.append(figures)
        add_record(folder, figures)
        reporter.layer_epoch(figures)

    try:
        for index in range(len(layers), len(job.stages)):
            layer = train_layer(job, index, layers, record, reporter)
            load_into_network(job, layer, layers)
            layers.append(layer)
            save_finished(job, layers, folder)
    except KeyboardInterrupt:
        reporter.note(_stopped(job, layers, folder))
        raise
    draw(job, layers, history, folder)
    write_text(folder.result, json.dumps(summary(job, history), indent=2) + "\n")
    return Pretrained(folder, tuple(history))


@torch.no_grad()
def load_into_network(
    job: PretrainJob, layer: PretrainedLayer, below: Sequence[PretrainedLayer]
) -> None:
    """Put a finished layer into the network, as the classifier will have it."""
    if isinstance(layer, RbmLayer):
        machines = [machine for machine in below if isinstance(machine, RbmLayer)]
        transfer(layer, machines, job.network, job.watched(job.splits.train))
    else:
        job.network.load_state_dict(layer.export_weights(), strict=False)


def summary(job: PretrainJob, history: Sequence[LayerRecord]) -> dict[str, Any]:
    """The final figures as JSON."""
    last = {record.layer: record for record in history}
    return {
        "kind": job.recipe.kind,
        "layers": [
            {
                "layer": name,
                "epochs": record.epoch,
                "train_error": record.train_error,
                "held_out_error": record.held_out_error,
                "activity": record.activity,
                "free_energy_gap": record.free_energy_gap,
            }
            for name, record in last.items()
        ],
        "train_pictures": len(job.splits.train),
        "held_out_pictures": len(job.splits.val),
        "unseen_test_pictures": len(job.splits.test),
        "split_seed": job.split_seed,
        "rejected": to_dict(job.store.info.rejected),
        "training_seconds": sum(record.elapsed_seconds for record in history),
    }


def _stopped(job: PretrainJob, layers: Sequence[PretrainedLayer], folder: RunFolder) -> str:
    """What is there after an interruption, and how to go on."""
    names = ", ".join(layer.stage.name for layer in layers)
    there = f"{names} finished, usable from {folder.model}" if layers else "no layer is finished"
    return (
        f"stopped: {there}; go on with: alexnet pretrain {job.recipe.kind} --resume {folder.path}"
    )
