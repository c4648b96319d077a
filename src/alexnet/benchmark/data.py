"""Measure images per second of building an image store, reading batches and augmenting them."""

from __future__ import annotations

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
from alexnet.data.splits import require_training_images, split_indices
from alexnet.data.store.build import prepare
from alexnet.ops.cores import num_cores
from alexnet.reporter import SILENT, Reporter
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.training.build import build_architecture
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.statistics import color_principal_axes, preprocessing_for


@dataclass(frozen=True, kw_only=True, slots=True)
class DataThroughput:
    """Images per second of each stage of the input pipeline."""

    data: str
    num_images: int
    cores: int
    prepare_per_second: Spread
    """Decoding, resizing and storing, which is done once for a data set."""
    read_per_second: Spread
    """Reading batches from the store, in the order of an epoch."""
    augment_per_second: Spread
    """The recipe's augmentation."""
    store_bytes: int
    environment: Environment


def benchmark_data(
    recipe: Recipe, repeats: int, device: torch.device, reporter: Reporter = SILENT
) -> DataThroughput:
    """Measure building the image store of a recipe's data set, reading it and augmenting images.

    The stores are built in a temporary folder, not in the cache.

    Args:
        recipe: the recipe whose data set, sizes, batch size and augmentation are measured.
        repeats: measurements of each.
        device: the device on which images are augmented.
        reporter: receives the progress of what comes before, such as a download.

    Raises:
        DataError: the data set is missing, or none of its images can be read.
    """
    options, seconds = recipe.data_options, []
    source = open_source(
        recipe.data, recipe.data_root, label_from=options.label_from, reporter=reporter
    )
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(repeats):
            start = time.perf_counter()
            store = prepare(
                source,
                options.stored_form,
                cache=Path(folder) / str(repeat),
                hash_images=options.split == "hash",
            )
            seconds.append(time.perf_counter() - start)
        splits = split_indices(store, options, recipe.seed)
        require_training_images(store.info.name, splits)
        batches = Batches(store, splits.train, recipe.batch_size, recipe.seed)
        return DataThroughput(
            data=store.info.name,
            num_images=len(store),
            cores=num_cores(),
            prepare_per_second=spread([len(store) / t for t in seconds]),
            read_per_second=spread(_read_rates(batches, repeats)),
            augment_per_second=spread(_augment_rates(batches, recipe, repeats, device)),
            store_bytes=store.num_bytes,
            environment=describe_environment(device),
        )


def _read_rates(batches: Batches, repeats: int) -> list[float]:
    """Images per second of reading a whole epoch, for each repeat."""
    rates = []
    for epoch in range(repeats):
        start = time.perf_counter()
        num_images = sum(len(labels) for _, labels in batches.epoch(epoch))
        rates.append(num_images / (time.perf_counter() - start))
    return rates


def _augment_rates(
    batches: Batches, recipe: Recipe, repeats: int, device: torch.device
) -> list[float]:
    """Images per second of augmenting one batch, for each repeat after a warmup."""
    axes = color_principal_axes(np.eye(3)).to(device)
    preprocessing = preprocessing_for(build_architecture(recipe), recipe.data_options)
    augmenter = Augmenter(
        options=recipe.augment, preprocessing=preprocessing, color_principal_axes=axes
    )
    pixels = torch.from_numpy(next(batches.epoch(0))[0]).to(device)
    rates = []
    for step in range(repeats + 1):
        generator = torch.Generator(device).manual_seed(step)
        start = time.perf_counter()
        statistics.mean(augmenter(pixels, generator)[:, 0, 0, 0].tolist())  # waits for the device
        rates.append(len(pixels) / (time.perf_counter() - start))
    return rates[1:]
