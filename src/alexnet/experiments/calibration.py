"""Measures the training speed of a network on this machine, in a second or two."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from alexnet.config.recipe import Recipe
from alexnet.experiments.plan import DATASET_SIZES
from alexnet.models.variants import variant
from alexnet.reporter import NullReporter
from alexnet.runtime.device import choose_device
from alexnet.training.build import build_architecture, build_network
from alexnet.training.output_rows import NO_WEIGHTS
from alexnet.training.step import set_up_update, update
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.statistics import preprocessing_for

MIN_SECONDS = 0.7
"""A network is timed for so long, after a step that is not counted."""
MIN_STEPS = 2


def measure_speed(recipe: Recipe, device: str, threads: int) -> float:
    """Training images per second of a recipe's network, on random images.

    Other programs on the machine slow several threads, which wait for each other, by far more than
    their share. So the speed is at least that of one thread in its own CPU time, which they hardly
    change, and of several steps the fastest counts.

    Args:
        recipe: gives the network, the augmentation and the batch size.
        device: auto, cpu or cuda.
        threads: number of threads, on a CPU.
    """
    here = choose_device(device)
    step = _training_step(recipe, here)
    if here.type != "cpu":
        return recipe.batch_size / _fastest(step, time.perf_counter)
    with _limited_threads(1):
        seconds = _fastest(step, time.process_time)
    if threads > 1:
        with _limited_threads(threads):
            seconds = min(seconds, _fastest(step, time.perf_counter))
    return recipe.batch_size / seconds


def _fastest(step: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of the fastest of several steps."""
    step()
    seconds: list[float] = []
    began_at = time.perf_counter()
    while len(seconds) < MIN_STEPS or time.perf_counter() - began_at < MIN_SECONDS:
        step_at = clock()
        step()
        seconds.append(clock() - step_at)
    return min(seconds)


def _training_step(recipe: Recipe, device: torch.device) -> Callable[[], float]:
    """A function that does a training step on random images, at learning rate 0, and waits."""
    has_weights = replace(recipe, init_from="a file") if recipe.freeze_up_to else recipe
    arch = variant(build_architecture(has_weights), num_classes=DATASET_SIZES[recipe.data][0])
    network = build_network(arch, recipe, NO_WEIGHTS, (), device, NullReporter()).train()
    setup = set_up_update(network, recipe)
    for group in setup.optimizer.param_groups:
        group["lr"] = 0.0
    augmenter = Augmenter(
        options=recipe.augment,
        preprocessing=preprocessing_for(arch, recipe.data_options, (128,) * 3, (64,) * 3),
        color_principal_axes=torch.eye(3, device=device),
    )
    generator = torch.Generator(device).manual_seed(0)
    shape = (recipe.batch_size, *[recipe.data_options.resize_size] * 2, 3)
    pixels = torch.randint(256, shape, dtype=torch.uint8, device=device)
    labels = torch.arange(recipe.batch_size, device=device) % arch.num_classes

    def step() -> float:
        images = augmenter(pixels, generator)
        loss, _ = update(setup, images, labels)
        return loss.item()  # waits for a GPU

    return step


@contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
