"""Pretraining: one layer after the other, each on the activations of the finished ones below it.

Everything random depends on (seed, layer, step) alone, so a pretraining that was interrupted and
resumed, which restarts the unfinished layer, ends with the same bits as an uninterrupted one.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from alexnet.config.serialization import UnknownKeyError, own_file_error
from alexnet.errors import ModelFileError, TrainingError
from alexnet.io.text import count_text, shell_command
from alexnet.parallel.same_start import check_same_start
from alexnet.parallel.watch import advise
from alexnet.parallel.world import current_world, join_world
from alexnet.pretraining.plots import save_plots
from alexnet.pretraining.processes import create_folder, folder_to_go_on, with_devices
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.recipe import PretrainRecipe, read_pretrain_recipe
from alexnet.pretraining.records import LayerRecord, NullPretrainReporter, PretrainReporter
from alexnet.pretraining.run_files import (
    LayerResult,
    PretrainingResult,
    add_record,
    check_unchanged,
    load_finished,
    read_records,
    save_finished,
    write_recipe,
    write_records,
    write_result,
)
from alexnet.pretraining.run_log import LoggingPretrainReporter
from alexnet.pretraining.setup import PretrainingSetup, set_up_pretraining
from alexnet.pretraining.stack import PretrainedLayer
from alexnet.pretraining.train_layer import train_layer
from alexnet.pretraining.transfer import transfer
from alexnet.runtime.device import float32_default
from alexnet.runtime.environment import describe_environment
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.training.build import start_facts
from alexnet.training.changed_environment import warn_if_environment_changed
from alexnet.training.initial_weights import resolve_paths
from alexnet.training.processes import check_is_new
from alexnet.training.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A finished pretraining: its run folder and the records of its epochs."""

    folder: RunFolder
    """The run folder; its `model` is a value for `Recipe.init_from`."""
    history: tuple[LayerRecord, ...]

    def __repr__(self) -> str:
        layers = len({record.layer for record in self.history})
        return f"Pretrained({str(self.folder.path)!r}, {count_text(layers, 'layer')})"


@join_world()
@float32_default()
def pretrain(
    recipe: PretrainRecipe,
    *,
    out: str | Path = "",
    plots: bool = True,
    reporter: PretrainReporter | None = None,
) -> Pretrained:
    """Pretrain the conv layers of a network without labels, into a new run folder.

    Args:
        recipe: an `AutoencoderRecipe` or `RbmRecipe`; `RbmRecipe.from_recipe(recipe)` gives one
            with the data and the network of a training's recipe.
        out: the run folder; `runs/<name>-<kind>-<number>` unless given.
        plots: draw filters, reconstructions and error curves at the end.
        reporter: receives notes and progress.

    Raises:
        AlexNetError: the recipe or the data cannot work, or the error is not finite.
        TrainingInterrupted: SIGINT or SIGTERM came; finished layers are saved.
    """
    log_reporter = LoggingPretrainReporter(reporter or NullPretrainReporter())
    recipe, chosen = resolve_paths(recipe), Path(out) if out else None
    if path := folder_to_go_on(recipe, chosen):
        return resume_pretraining(path, plots=plots, reporter=reporter)
    check_is_new(out)
    setup = set_up_pretraining(with_devices(recipe, log_reporter), log_reporter)
    folder = create_folder(setup, chosen)
    with folder.locked(log_reporter.note), log_reporter.log.keeping_the_end(folder.result):
        log_reporter.log.open(folder.log)
        return _train_remaining(setup, [], folder, plots, log_reporter)


@join_world()
@float32_default()
def resume_pretraining(
    path: str | Path, *, plots: bool = True, reporter: PretrainReporter | None = None
) -> Pretrained:
    """Resume an interrupted pretraining: finished layers are kept, the unfinished one restarts.

    Raises:
        ModelFileError: the folder is not a pretraining's, or a file is damaged.
        ConfigError: its recipe was changed in a way that decides the finished layers.
        TrainingError: the pretraining is finished.
        TrainingInterrupted: SIGINT or SIGTERM came; finished layers are saved.
    """
    log_reporter = LoggingPretrainReporter(reporter or NullPretrainReporter())
    folder = RunFolder(Path(path))
    if not folder.config.is_file():
        raise ModelFileError(f"{path} is not a run folder: it has no config.json")
    try:
        recipe = read_pretrain_recipe(folder.config)
    except UnknownKeyError as error:
        raise ModelFileError(own_file_error(error)) from error
    if folder.result.exists():
        raise TrainingError(f"{path} is finished; its model is {folder.model}")
    with folder.locked(log_reporter.note):
        current_world().barrier()  # rank 0 has the lock
        with log_reporter.log.keeping_the_end(folder.result):
            log_reporter.log.open(folder.log)
            setup, layers = _restore_layers(recipe, folder, log_reporter)
            return _train_remaining(setup, layers, folder, plots, log_reporter)


def _restore_layers(
    recipe: PretrainRecipe, folder: RunFolder, reporter: PretrainReporter
) -> tuple[PretrainingSetup, list[PretrainedLayer]]:
    """The finished layers of an interrupted pretraining, loaded into its network."""
    world, before = current_world(), recipe.devices
    check_unchanged(folder, recipe)  # before images are stored anew
    setup = set_up_pretraining(replace(recipe, devices=world.size), reporter)
    environment = describe_environment(setup.device, world.size)
    warn_if_environment_changed(folder, environment, reporter)
    layers = load_finished(setup, folder)
    folder.remove_temp_files()
    if world.size != before:
        write_recipe(folder, setup.recipe)
    for index, layer in enumerate(layers):
        load_into_network(setup, layer, layers[:index])
    done = f"after {layers[-1].stage.name}" if layers else "at the first layer"
    reporter.note(f"resuming {done}")
    return setup, layers


def _train_remaining(
    setup: PretrainingSetup,
    layers: list[PretrainedLayer],
    folder: RunFolder,
    plots: bool,
    reporter: PretrainReporter,
) -> Pretrained:
    """Train the layers after the finished ones, then write the plots and the result."""
    finished = {layer.stage.name for layer in layers}
    check_same_start(start_facts(setup.recipe, setup.store, ", ".join(sorted(finished))))
    history = [record for record in read_records(folder) if record.layer in finished]
    write_records(folder, history)
    reporter.note(f"run folder {folder.path}")
    advise(f"resume with: {_resume_command(setup, folder)}")

    def record(epoch: LayerRecord) -> None:
        history.append(epoch)
        add_record(folder, epoch)
        reporter.on_layer_epoch(epoch)

    _train_layers(setup, layers, folder, record, reporter)
    if plots and setup.world.is_main:
        for note in save_plots(setup, layers, history, folder):
            reporter.note(note)
    write_result(folder, summary(setup, history))
    setup.world.barrier()  # rank 0 has written it
    return Pretrained(folder, tuple(history))


def _train_layers(
    setup: PretrainingSetup,
    layers: list[PretrainedLayer],
    folder: RunFolder,
    record: Callable[[LayerRecord], None],
    reporter: PretrainReporter,
) -> None:
    """Train the layers that are missing in `layers`, and save each when it is finished.

    Raises:
        TrainingInterrupted: SIGINT or SIGTERM came; finished layers are saved.
    """
    stop = StopRequest()

    def stop_if_asked() -> None:
        (number,) = setup.world.max_over_ranks(stop.signal_number)
        if number:
            raise TrainingInterrupted(_interrupted(setup, layers, folder), number)

    try:
        with stop.listening():
            while len(layers) < len(setup.stages):
                layer = train_layer(setup, layers, record, reporter, stop_if_asked)
                load_into_network(setup, layer, layers)
                layers.append(layer)
                save_finished(setup, layers, folder)
    except TrainingInterrupted:
        raise
    except KeyboardInterrupt as error:
        raise TrainingInterrupted(_interrupted(setup, layers, folder), signal.SIGINT) from error


@torch.no_grad()
def load_into_network(
    setup: PretrainingSetup, layer: PretrainedLayer, below: Sequence[PretrainedLayer]
) -> None:
    """Copy a finished layer into the network, converted to the classifier's weights."""
    if isinstance(layer, RbmLayer):
        rbms = [lower for lower in below if isinstance(lower, RbmLayer)]
        transfer(layer, rbms, setup.network, setup.probe_batches(setup.splits.train))
    else:
        setup.network.load_state_dict(layer.export_weights(), strict=False)


def summary(setup: PretrainingSetup, history: Sequence[LayerRecord]) -> PretrainingResult:
    """The contents of `result.json`: the last record of every layer, and the split sizes."""
    last = {record.layer: record for record in history}
    return PretrainingResult(
        kind=setup.recipe.kind,
        layers=tuple(
            LayerResult(
                layer=name,
                epochs=record.epoch,
                train_error=record.train_error,
                val_error=record.val_error,
                activation_rate=record.activation_rate,
                free_energy_gap=record.free_energy_gap,
            )
            for name, record in last.items()
        ),
        num_train_images=len(setup.splits.train),
        num_val_images=len(setup.splits.val),
        num_test_images=len(setup.splits.test),
        split_seed=setup.split_seed,
        split=setup.recipe.data_options.split,
        rejected=setup.store.info.rejected,
        training_seconds=sum(record.elapsed_seconds for record in history),
    )


def _interrupted(
    setup: PretrainingSetup, layers: Sequence[PretrainedLayer], folder: RunFolder
) -> str:
    """The message after an interruption: what is finished, and the command that resumes."""
    names = ", ".join(layer.stage.name for layer in layers)
    finished = f"{names} finished, usable from {folder.model}" if layers else "no layer is finished"
    return f"stopped: {finished}; resume with: {_resume_command(setup, folder)}"


def _resume_command(setup: PretrainingSetup, folder: RunFolder) -> str:
    words = ["alexnet", "pretrain", setup.recipe.kind, "--resume", str(folder.path)]
    return shell_command(words)
