"""The learning rate of every step by hand, and what each parameter group gets of it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from alexnet.config.recipe import LRSchedule, OptimizerOptions, Recipe
from alexnet.training.schedule import build_scheduler, lr_at, num_plateau_drops

STEPS_PER_EPOCH, EPOCHS = 10, 9
LAST = STEPS_PER_EPOCH * EPOCHS - 1


def lr(schedule: LRSchedule, step: int, errors: tuple[float, ...] = ()) -> float:
    return lr_at(schedule, 0.8, step, STEPS_PER_EPOCH, STEPS_PER_EPOCH * EPOCHS, errors)


def test_constant() -> None:
    assert {lr(LRSchedule(), step) for step in range(LAST + 1)} == {0.8}


def test_steps() -> None:
    schedule = LRSchedule(schedule="step", milestones=(2, 5, 6))
    found = [lr(schedule, step) for step in (0, 19, 20, 49, 50, 59, 60, LAST)]
    assert found == pytest.approx([0.8, 0.8, 0.08, 0.08, 8e-3, 8e-3, 8e-4, 8e-4], rel=1e-12)
    half = LRSchedule(schedule="step", milestones=(2,), gamma=0.5)
    assert (lr(half, 19), lr(half, 20), lr(half, LAST)) == (0.8, 0.4, 0.4)


def test_cosine() -> None:
    schedule = LRSchedule(schedule="cosine")
    assert lr(schedule, 0) == 0.8
    assert lr(schedule, 45) == pytest.approx(0.4)
    assert lr(schedule, 30) == pytest.approx(0.6)  # a third of the way: (1 + 1/2) / 2
    assert lr(schedule, LAST) == pytest.approx(0.4 * (1 - math.cos(math.pi / 90)))
    assert 0 < lr(schedule, LAST) < 3e-4
    assert lr(schedule, LAST + 1) == pytest.approx(0, abs=1e-15)


def test_plateau() -> None:
    schedule = LRSchedule(schedule="plateau", plateau_patience=2, max_drops=2)
    assert lr(schedule, 0) == 0.8
    assert lr(schedule, 30, (0.5, 0.4, 0.4)) == 0.8
    assert lr(schedule, 40, (0.5, 0.4, 0.4, 0.5)) == pytest.approx(0.08)
    assert lr(schedule, LAST, (0.5,) * 9) == pytest.approx(0.008)


@pytest.mark.parametrize("kind", ["constant", "step", "plateau", "cosine"])
@pytest.mark.parametrize(
    ("epochs", "steps", "length"), [(0.0, 4, 4), (1.5, 0, 15), (0.5, 3, 8), (0.0, 1, 1)]
)
def test_warm_up(kind: Any, epochs: float, steps: int, length: int) -> None:
    """Step i has the fraction (i + 1) / n; the last step of the warm-up and the next have all."""
    schedule = LRSchedule(schedule=kind, warmup_epochs=epochs, warmup_steps=steps, milestones=(7,))
    found = [lr(schedule, step) for step in range(length)]
    assert found == pytest.approx([0.8 * (i + 1) / length for i in range(length)])
    assert found[-1] == 0.8
    assert lr(schedule, length) == 0.8


def test_cosine_after_a_warm_up() -> None:
    schedule = LRSchedule(schedule="cosine", warmup_epochs=1, warmup_steps=10)
    assert lr(schedule, 20) == 0.8
    assert lr(schedule, 55) == pytest.approx(0.4)  # half of the 70 steps left
    assert lr(schedule, LAST + 1) == pytest.approx(0, abs=1e-15)


def test_a_run_that_is_all_warm_up() -> None:
    schedule = LRSchedule(schedule="cosine", warmup_steps=100)
    assert lr_at(schedule, 1.0, 49, 10, 50) == 0.5
    assert lr_at(schedule, 1.0, 100, 10, 100) == 1.0  # no division by the 0 steps left


@given(st.sampled_from(["constant", "step", "cosine"]), st.integers(0, 20), st.integers(0, LAST))
def test_lr_stays_in_range(kind: Any, warmup: int, step: int) -> None:
    schedule = LRSchedule(schedule=kind, warmup_steps=warmup, milestones=(3, 6))
    assert 0 < lr(schedule, step) <= 0.8 * (1 + 1e-12)
    if step >= warmup:
        assert lr(schedule, step + 1) <= lr(schedule, step)


@pytest.mark.parametrize(
    ("errors", "patience", "limit", "drops"),
    [
        ((), 1, 3, 0),
        ((0.5,), 1, 3, 0),
        ((0.5, 0.5), 1, 3, 1),  # equal is not lower
        ((0.5, 0.4, 0.3), 1, 3, 0),
        ((0.5, 0.6, 0.4, 0.6), 2, 3, 0),  # a new lowest error starts the wait again
        ((0.5, 0.6, 0.6), 2, 3, 1),
        ((0.5, 0.6, 0.6, 0.6), 2, 3, 1),  # and so does a drop
        ((0.5, 0.6, 0.6, 0.6, 0.6), 2, 3, 2),
        ((0.5, 0.9, 0.8, 0.7), 3, 3, 1),  # falling, but never below the lowest
        ((0.5,) * 50, 1, 3, 3),
        ((0.5,) * 50, 1, 0, 0),
        ((0.5, math.nan, math.nan), 2, 3, 1),
    ],
)
def test_plateau_drops(errors: tuple[float, ...], patience: int, limit: int, drops: int) -> None:
    assert num_plateau_drops(errors, patience, limit) == drops


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(1, 5), st.integers(0, 4))
def test_plateau_drops_never_come_back(errors: list[float], patience: int, limit: int) -> None:
    found = [num_plateau_drops(errors[:i], patience, limit) for i in range(len(errors) + 1)]
    assert found[0] == 0
    assert all(0 <= b - a <= 1 for a, b in pairwise(found))
    assert max(found) <= min(limit, len(errors) // patience)


def optimizer() -> torch.optim.Optimizer:
    """Two groups, of which the second is for a low learning rate at the end."""
    groups = [
        {"params": [nn.Parameter(torch.zeros(1))], "lr_multiplier": 1.0, "low_lr": False},
        {"params": [nn.Parameter(torch.zeros(1))], "lr_multiplier": 2.0, "low_lr": True},
    ]
    return torch.optim.SGD(groups, 1.0)


def test_a_scheduler_is_the_recipes() -> None:
    recipe = Recipe(
        epochs=EPOCHS,
        optimizer=OptimizerOptions(lr=0.8),
        schedule=LRSchedule(schedule="cosine", warmup_steps=4),
    )
    scheduler = build_scheduler(recipe, STEPS_PER_EPOCH)
    assert scheduler.total_steps == LAST + 1
    for step in range(LAST + 1):
        assert scheduler.lr(step) == lr(recipe.schedule, step)
    recipe = Recipe(
        epochs=EPOCHS,
        optimizer=OptimizerOptions(lr=0.8),
        schedule=LRSchedule(schedule="plateau", plateau_patience=1),
    )
    scheduler = build_scheduler(recipe, STEPS_PER_EPOCH)
    assert scheduler.lr(30, (0.5, 0.5)) == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("low_lr_after_epoch", "step", "expected"),
    [
        (None, LAST, [0.5, 1.0]),
        (2, 19, [0.5, 1.0]),
        (2, 20, [0.5, 0.002]),
        (2, LAST, [0.5, 0.002]),
    ],
)
def test_low_lr_begins_after_its_epoch(
    low_lr_after_epoch: int | None, step: int, expected: list[float]
) -> None:
    recipe = Recipe(
        low_lr=0.001,
        low_lr_after_epoch=low_lr_after_epoch,
        freeze_up_to="conv1",
        freeze_after_epoch=5,
    )
    found = optimizer()
    build_scheduler(recipe, STEPS_PER_EPOCH).set_lr(found, step, 0.5)
    assert [group["lr"] for group in found.param_groups] == expected
