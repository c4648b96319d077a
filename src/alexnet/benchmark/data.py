"""How fast pictures become batches: preparing a store, reading an epoch, making views."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from alexnet.benchmark.timing import Spread, spread
from alexnet.config.recipe import Recipe
from alexnet.data.batches import Batches
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.source import Source
from alexnet.data.splits import split_indices
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.training.setup import build_architecture
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.statistics import color_principal_axes, preprocessing_for


@dataclass(frozen=True, kw_only=True, slots=True)
class DataThroughput:
    """Pictures a second on the way to the network."""

    data: str
    pictures: int
    cores: int
    prepare_per_second: Spread
    """Decoding, resizing and storing; once for a data set."""
    read_per_second: Spread
    """From the store into batches, in an epoch's order."""
    augment_per_second: Spread
    """The recipe's training views."""
    store_bytes: int
    environment: Environment


def benchmark_data(recipe: Recipe, repeats: int, device: torch.device) -> DataThroughput:
    """Prepare the recipe's data set anew `repeats` times, read it, and make views of it.

    The stores are made in a folder of their own and removed.

    Raises:
        DataError: the data set is not here, or no picture can be used.
    """
    source = open_source(recipe.data, recipe.data_root)
    with tempfile.TemporaryDirectory() as folder:
        times = []
        for turn in range(repeats):
            place, began = Path(folder) / str(turn), time.perf_counter()
            store = _prepared(source, recipe, place)
            times.append(time.perf_counter() - began)
        rows = split_indices(store, recipe.data_options, recipe.seed).train
        batches = Batches(store, rows, recipe.batch_size, recipe.seed)
        return DataThroughput(
            data=store.info.name,
            pictures=len(store),
            cores=os.cpu_count() or 1,
            prepare_per_second=spread([len(store) / t for t in times]),
            read_per_second=spread(_reading(batches, repeats)),
            augment_per_second=spread(_augmenting(batches, recipe, repeats, device)),
            store_bytes=store.num_bytes,
            environment=describe_environment(device),
        )


def _prepared(source: Source, recipe: Recipe, place: Path) -> Store:
    pictures = recipe.data_options
    return prepare(source, resize=pictures.resize, side=pictures.resize_size, cache=place)


def _reading(batches: Batches, repeats: int) -> list[float]:
    rates = []
    for epoch in range(repeats):
        began = time.perf_counter()
        images = sum(len(labels) for _, labels in batches.epoch(epoch))
        rates.append(images / (time.perf_counter() - began))
    return rates


def _augmenting(
    batches: Batches, recipe: Recipe, repeats: int, device: torch.device
) -> list[float]:
    axes = color_principal_axes(np.eye(3)).to(device)
    rule = preprocessing_for(build_architecture(recipe), recipe.data_options)
    augmenter = Augmenter(options=recipe.augment, preprocessing=rule, color_principal_axes=axes)
    pixels = torch.from_numpy(next(batches.epoch(0))[0]).to(device)
    rates = []
    for step in range(repeats + 1):
        generator = torch.Generator(device).manual_seed(step)
        began = time.perf_counter()
        statistics.mean(augmenter(pixels, generator)[:, 0, 0, 0].tolist())  # waits for the device
        rates.append(len(pixels) / (time.perf_counter() - began))
    return rates[1:]
