"""Images per second on the way to the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from alexnet.benchmark.data import benchmark_data
from alexnet.config.presets import preset
from alexnet.config.recipe import DataOptions


def test_every_part_is_measured_as_often(flowers: Path, cache: Path) -> None:
    small = DataOptions(resize_size=40, crop_size=36)
    recipe = replace(preset("quickstart"), data=str(flowers), data_options=small)
    found = benchmark_data(recipe, 2, torch.device("cpu"))
    assert found.num_images == 60
    for rates in (found.prepare_per_second, found.read_per_second, found.augment_per_second):
        assert rates.n == 2
        assert 0 < rates.low <= rates.high
    size = recipe.data_options.resize_size
    assert found.store_bytes == 60 * 3 * size * size
    assert not list(cache.glob("data/*")), "the stores are built outside the cache"
