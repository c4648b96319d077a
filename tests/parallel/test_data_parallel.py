"""Several processes follow the losses of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alexnet.config.augmentation import Augmentation
from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import BalanceOptions, DataOptions, OptimizerOptions, Recipe
from alexnet.errors import ConfigError
from alexnet.models.variants import ModelOptions
from alexnet.parallel.world import World
from alexnet.training.micro_batches import smallest_share
from support.processes import Processes
from support.steps import assert_close, assert_same_bits, follow, paper

SYNC = DistributedOptions(sync_batch_norm=True)


def lenet(tiny: Recipe) -> Recipe:
    options = DataOptions(resize_size=32)
    return replace(paper(tiny), arch="lenet5", model=ModelOptions(), data_options=options)


def cases(tiny: Recipe) -> dict[str, Recipe]:
    base = paper(tiny)
    fields = {
        "paper": {},
        "accumulate": {"batch_size": 5, "optimizer": OptimizerOptions(lr=0.02, accumulate=2)},
        "cutmix": {"augment": Augmentation(cutmix=0.7, min_scale=0.5)},
        "mixup": {"augment": Augmentation(mixup=0.4), "label_smoothing": 0.1},
        "balance": {"balance": BalanceOptions(class_weights="balanced"), "label_smoothing": 0.1},
        "clip, average": {"optimizer": OptimizerOptions(lr=0.02, clip_norm=0.1, ema=0.9)},
        "batch norm": {"arch": "alexnet_bn", "distributed": SYNC},
        "batch norm, accumulate": {
            "arch": "alexnet_bn",
            "distributed": SYNC,
            "optimizer": OptimizerOptions(lr=0.02, accumulate=2),
        },
        "adamw, RandAugment": {
            "augment": Augmentation(rand_augment=(2, 5), contrast_std=0.1),
            "optimizer": OptimizerOptions(optimizer="sgd", lr=0.02),
        },
    }
    return {name: replace(base, **changed) for name, changed in fields.items()}


NAMES = [
    "cutmix", "batch norm, accumulate", "paper", "accumulate", "mixup", "balance", "clip, average",
    "batch norm", "adamw, RandAugment",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_follow_one(name: str, tiny: Recipe, pair: Processes) -> None:
    recipe = cases(tiny)[name]
    alone = follow(recipe)
    first, second = pair.run(follow, recipe)
    assert_same_bits(first, second)
    assert_close(first, alone)
    assert alone["losses"][-1] != alone["losses"][0]


@pytest.mark.parametrize("name", NAMES)
def test_four_processes_follow_one(name: str, tiny: Recipe, four: Processes) -> None:
    recipe = cases(tiny)[name]
    first, *others = four.run(follow, recipe)
    for other in others:
        assert_same_bits(other, first)
    assert_close(first, follow(recipe))


def freeze_between_steps(recipe: Recipe) -> dict[str, Any]:
    return follow(recipe, freeze_at=1)


def test_layers_that_freeze_leave_the_exchange(tiny: Recipe, pair: Processes) -> None:
    recipe = replace(lenet(tiny), freeze_up_to="conv1", freeze_after_epoch=1)
    alone = follow(recipe, freeze_at=1)
    first, second = pair.run(freeze_between_steps, recipe)
    assert_same_bits(first, second)
    assert_close(first, alone)


def test_compressed_gradients_are_near(tiny: Recipe, pair: Processes) -> None:
    recipe = lenet(tiny)
    compressed = replace(recipe, distributed=DistributedOptions(gradient_compression="bf16"))
    first, second = pair.run(follow, compressed)
    assert_same_bits(first, second)
    plain = follow(recipe)
    assert_close(first, plain, tolerance=1e-3)
    assert first["losses"] != plain["losses"]


def test_batches_that_are_too_small_are_refused(tiny: Recipe) -> None:
    with pytest.raises(ConfigError, match="a batch of 3 images cannot be spread over 4 processes"):
        smallest_share(3, replace(tiny, batch_size=3), World(size=4))
    assert smallest_share(11, replace(tiny, batch_size=11), World(size=4)) == 2
