"""Accumulated micro-batches are one update of the batch in one piece, dropout included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import BalanceOptions, OptimizerOptions, Recipe
from alexnet.errors import ConfigError
from alexnet.models.variants import ModelOptions
from alexnet.parallel.world import ALONE, World
from alexnet.reporter import NullReporter
from alexnet.training.micro_batches import dropout_of_rows, micro_batches, own_rows
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.step import train_step
from support.runs import cut_off, is_same_run, resume, train


@pytest.fixture
def plain(tiny: Recipe) -> Recipe:
    """Without batch norm, with dropout, and with CutMix in some steps."""
    return replace(
        tiny,
        arch="alexnet_owt",
        model=ModelOptions(width=0.05, input_size=67, init="glorot"),
        augment=Augmentation(min_scale=0.5, noise_std=1.0, cutmix=0.5),
        optimizer=OptimizerOptions(optimizer="sgd", lr=0.05),
        label_smoothing=0.1,
    )


def steps(recipe: Recipe, count: int) -> tuple[list[float], TrainingSetup]:
    """The losses of the first steps, and what they trained."""
    setup, losses = set_up_training(recipe, NullReporter()), []
    setup.network.train()
    for step, (pixels, labels) in zip(range(count), setup.loader.epoch(0), strict=False):
        losses.append(train_step(setup, pixels, labels, step, 0.05)[0].item())
    return losses, setup


def test_three_small_batches_are_a_large_one(plain: Recipe) -> None:
    large, whole = steps(replace(plain, batch_size=12), 3)
    optimizer = replace(plain.optimizer, accumulate=3)
    small, parts = steps(replace(plain, batch_size=4, optimizer=optimizer), 3)
    assert whole.steps_per_epoch == parts.steps_per_epoch == 3
    assert small == pytest.approx(large, rel=1e-5)
    assert len(set(large)) == 3
    for name, weights in whole.network.named_parameters():
        other = parts.network.get_parameter(name)
        assert torch.allclose(weights, other, rtol=1e-4, atol=1e-6), name


def test_dropout_of_the_rows_is_that_of_the_batch() -> None:
    """On a batch in channels-last memory, too, whose mask torch draws in the order of memory."""
    for x in (torch.ones(10, 7), torch.ones(10, 3, 4, 5).to(memory_format=torch.channels_last)):
        network = nn.Sequential(nn.Dropout(0.5), nn.Identity(), nn.Dropout(0.2))
        torch.manual_seed(1)
        whole = network(x)
        for rows in (slice(0, 4), slice(4, 7), slice(7, 10)):
            torch.manual_seed(1)
            with dropout_of_rows(network, rows, 10):
                assert torch.equal(network(x[rows]), whole[rows])
        assert not torch.equal(network(x), whole), "the hooks are gone, and so is the seed"


@pytest.mark.parametrize(
    ("images", "accumulate", "sizes"),
    [(12, 1, [12]), (12, 3, [4, 4, 4]), (11, 3, [4, 4, 3]), (5, 3, [3, 2]), (3, 3, [3])],
)
def test_parts_by_hand(images: int, accumulate: int, sizes: list[int]) -> None:
    recipe = Recipe(batch_size=4, optimizer=OptimizerOptions(accumulate=accumulate))
    found = micro_batches(images, recipe, ALONE)
    assert [part.rows.stop - part.rows.start for part in found] == sizes
    assert all(part.own == part.rows for part in found)
    assert own_rows(images, recipe, ALONE).tolist() == list(range(images))


def test_processes_share_every_part_of_a_batch() -> None:
    recipe = Recipe(batch_size=4, optimizer=OptimizerOptions(accumulate=2))
    rows = [own_rows(7, recipe, World(rank=rank, size=3)).tolist() for rank in range(3)]
    assert rows == [[0, 1, 4], [2, 5], [3, 6]], "of 4 images and of 3"


def test_compiled_networks_do_not_accumulate() -> None:
    with pytest.raises(ConfigError, match="--accumulate does not work with --compile"):
        Recipe(compile=True, optimizer=OptimizerOptions(accumulate=2))


@pytest.mark.slow
@pytest.mark.usefixtures("small_place")
def test_an_accumulating_run_resumes_to_the_same_bits(small: Recipe, tmp_path: Path) -> None:
    optimizer = replace(small.optimizer, accumulate=2, clip_norm=1.0)
    balance = BalanceOptions(balanced_sampling=True)
    recipe = replace(small, batch_size=4, optimizer=optimizer, balance=balance)
    whole = train(recipe, out=tmp_path / "whole").folder
    cut_off(recipe, tmp_path / "cut", 7)
    assert is_same_run(resume(tmp_path / "cut").folder, whole)
