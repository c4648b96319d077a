"""Several processes that train in fp16: they scale the loss alike, and skip the same steps."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import Recipe
from alexnet.parallel.world import current_world
from alexnet.reporter import NullReporter
from alexnet.training.setup import set_up_training
from alexnet.training.step import train_step
from support.processes import Processes
from support.steps import follow, paper

SCHEMES = [
    DistributedOptions(),
    DistributedOptions(gradient_compression="bf16"),
    DistributedOptions(parallel="columns"),
    DistributedOptions(parallel="hybrid"),
    DistributedOptions(parallel="hybrid", exchange="slices"),
]


def skip_one_step(recipe: Recipe) -> dict[str, Any]:
    """Two steps; in the second one a gradient of the last process is not finite."""
    world = current_world()
    setup = set_up_training(recipe, NullReporter())
    assert setup.loss_scaler
    setup.learner.train()
    pixels, labels = next(setup.loader.epoch(0))
    train_step(setup, pixels, labels, 0, 0.02)
    before = [p.detach().clone() for p in setup.learner.parameters()]
    if world.rank == world.size - 1:
        setup.learner.get_parameter("fc6.weight").register_hook(break_one)
    train_step(setup, pixels, labels, 1, 0.02)
    pairs = zip(before, setup.learner.parameters(), strict=True)
    return {**asdict(setup.loss_scaler), "is_same": all(a.equal(b) for a, b in pairs)}


def break_one(gradient: Tensor) -> Tensor:
    return gradient.clone().index_fill_(0, gradient.new_zeros(1).long(), math.inf)


@pytest.mark.parametrize("options", SCHEMES, ids=lambda o: f"{o.parallel} {o.exchange}")
def test_all_skip_a_step_in_which_one_has_a_gradient_that_is_not_finite(
    options: DistributedOptions, tiny: Recipe, pair: Processes
) -> None:
    recipe = replace(paper(tiny), precision="fp16", distributed=options)
    first, second = pair.run(skip_one_step, recipe)
    assert first == second
    assert first == {"scale": 2.0**15, "growth_steps": 0, "skipped_steps": 1, "is_same": True}


@pytest.mark.parametrize("options", SCHEMES[::2], ids=lambda o: f"{o.parallel} {o.exchange}")
def test_steps_of_two_processes_are_nearly_those_of_one_in_float32(
    options: DistributedOptions, tiny: Recipe, pair: Processes
) -> None:
    recipe = replace(paper(tiny), distributed=options)
    expected = follow(replace(recipe, distributed=DistributedOptions()))
    for found in pair.run(follow, replace(recipe, precision="fp16")):
        np.testing.assert_allclose(found["losses"], expected["losses"], rtol=0.01)
