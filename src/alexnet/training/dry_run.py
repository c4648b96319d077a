"""A dry run: shapes, steps, memory, disk space and time that a run would need."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.io.paths import existing_parent
from alexnet.reporter import Reporter
from alexnet.training.data import plan_data
from alexnet.training.initial_weights import resolve
from alexnet.training.memory import (
    STATES,
    MemoryEstimate,
    estimate_memory,
    num_learning_weights,
    num_stored,
)
from alexnet.training.schedule_advice import schedule_advice
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.step import train_step

MAX_TIMED_STEPS = 5
MAX_TIMED_SECONDS = 20.0
"""Seconds after which no further step is timed."""
EVALUATION_COST = 1 / 3
"""Cost of an image in evaluation as a fraction of its cost in training, which has a backward pass,
too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskEstimate:
    """The disk space of a run, in bytes."""

    store: int
    """Size of the image store in bytes."""
    store_folder: str
    is_prepared: bool
    """Whether the store is there already."""
    free_for_store: int
    run: int
    """Size of the run folder when the run has finished, in bytes."""
    run_at_most: int
    """Maximum size of the run folder while it trains, in bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPlan:
    """What a dry run finds about a run."""

    recipe: Recipe
    class_names: tuple[str, ...]
    images: dict[str, int]
    """Number of images in each split that is not empty."""
    stored_image: tuple[int, int, int]
    """Height, width and channels of a stored image, uint8."""
    batch: tuple[int, ...]
    """Shape of what the network gets at once: images, channels, height and width."""
    parameters: int
    processes: int
    """Number of processes that train together; times and memory are of each."""
    steps_per_epoch: int
    total_steps: int
    memory: MemoryEstimate
    memory_bytes: int
    """Total memory of a step in each process, in bytes."""
    disk: DiskEstimate
    device: str
    seconds_per_step: float
    """Median of a few timed steps."""
    total_seconds: float
    """Seconds of all epochs, with their evaluations, without preparing images."""


def plan_run(recipe: Recipe, reporter: Reporter) -> RunPlan:
    """Plan a run: its shapes, steps, memory, disk space and time.

    A few steps are timed, on gray images if the store is not there. Nothing is written; but a data
    set that is missing is downloaded, and an archive is unpacked, since its images are counted. A
    named one that cannot be downloaded is taken with its published number of images.

    Raises:
        AlexNetError: the recipe, the data or the weights cannot work.
    """
    recipe = resolve(recipe, reporter)
    store, splits, is_prepared = plan_data(recipe, reporter)
    # A mean image would be that of all images, which takes long.
    options = replace(recipe.data_options, mean="none")
    timed = replace(recipe, data_options=options)
    setup = set_up_training(timed, reporter, data=(store, splits))
    for text in schedule_advice(recipe, setup.steps_per_epoch):
        reporter.note(text)
    seconds = time_steps(setup)
    arch, evaluated = setup.network.architecture, len(splits.val) or len(splits.test)
    train_seconds = seconds * setup.total_steps
    per_image = seconds / setup.batches.images_per_step
    test_seconds = per_image * EVALUATION_COST * evaluated * recipe.epochs
    memory = estimate_memory(recipe, setup.network, setup.learner, setup.batches, setup.world)
    return RunPlan(
        recipe=recipe,
        class_names=store.info.class_names,
        images=splits.counts,
        stored_image=store.image_shape,
        batch=(min(recipe.batch_size, len(splits.train)), *arch.input),
        parameters=sum(info.parameters for info in arch.layer_infos()),
        processes=setup.world.size,
        steps_per_epoch=setup.steps_per_epoch,
        total_steps=setup.total_steps,
        memory=memory,
        memory_bytes=memory.total,
        disk=estimate_disk(setup, is_prepared),
        device=str(setup.device),
        seconds_per_step=seconds,
        total_seconds=train_seconds + test_seconds,
    )


def time_steps(setup: TrainingSetup) -> float:
    """Median seconds of a training step; the first one is not counted.

    All processes time as many steps, since they train them together.
    """
    setup.freeze(0)
    setup.learner.train()
    seconds: list[float] = []
    pixels, labels = next(setup.loader.epoch(0))
    while len(seconds) <= MAX_TIMED_STEPS:
        if setup.world.any_rank(sum(seconds) >= MAX_TIMED_SECONDS):
            break
        began_at = time.perf_counter()
        train_step(setup, pixels, labels, len(seconds), lr=0.0)[0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - began_at)
    later = sorted(seconds[1:] or seconds)
    return later[len(later) // 2]


def estimate_disk(setup: TrainingSetup, is_prepared: bool) -> DiskEstimate:
    """Disk space of the image store and of the run folder."""
    recipe, store = setup.recipe, setup.store
    model = 4 * num_stored(setup.network)
    state = model * (2 if setup.average else 1)
    state += 4 * num_learning_weights(setup.network) * STATES[recipe.optimizer.optimizer]
    models = model * (2 if setup.eval_split == "val" else 1)
    return DiskEstimate(
        store=store.num_bytes,
        store_folder=str(store.folder),
        is_prepared=is_prepared,
        free_for_store=shutil.disk_usage(existing_parent(Path(store.folder))).free,
        run=models + state * recipe.keep_state,
        run_at_most=models + state * (recipe.keep_checkpoints + 1),
    )
