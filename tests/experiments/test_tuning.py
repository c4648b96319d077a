"""The search for a learning rate: where it goes, where it ends, and what it chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.experiments.tuning import (
    MAX_EXTENSIONS,
    LRTrial,
    best_trial,
    choose_lr,
    is_at_edge,
    next_lrs,
)

GRID = (0.001, 0.003, 0.01)


def search(value_at: Callable[[float], float], grid: Sequence[float] = GRID) -> tuple[LRTrial, ...]:
    """All trials of a search; a rate whose value is infinite diverges."""
    trials: list[LRTrial] = []
    while lrs := next_lrs(grid, trials):
        for lr in lrs:
            value = value_at(lr)
            diverged = math.isinf(value)
            trials.append(LRTrial(lr=lr, value=value, loss=value, has_diverged=diverged))
    return tuple(trials)


def bowl(best: float) -> Callable[[float], float]:
    return lambda lr: math.log(lr / best) ** 2


def tried(trials: Sequence[LRTrial]) -> list[float]:
    return [trial.lr for trial in trials]


def test_a_best_rate_inside_the_grid_is_refined_on_both_sides() -> None:
    trials = search(bowl(0.0035))
    assert tried(trials) == [*GRID, 0.00173, 0.00548]
    assert best_trial(trials).lr == 0.003
    assert not is_at_edge(trials)


def test_a_grid_goes_on_until_the_error_has_turned() -> None:
    """The factor is the mean one of the grid, the root of 10."""
    trials = search(bowl(0.05))
    assert tried(trials) == [*GRID, 0.0316, 0.1, 0.0178, 0.0562]
    assert best_trial(trials).lr == 0.0562
    assert not is_at_edge(trials)
    below = [0.01, 0.001, 0.0001, 1e-05, 3.16e-05, 0.000316]
    assert tried(search(bowl(0.0002), (0.01, 0.001))) == below


def test_a_rate_that_diverges_has_turned() -> None:
    trials = search(lambda lr: math.inf if lr > 0.02 else -lr)
    assert tried(trials) == [*GRID, 0.0316, 0.00548, 0.0178]
    assert best_trial(trials).lr == 0.0178
    assert not is_at_edge(trials)


def test_where_all_diverge_lower_rates_are_tried() -> None:
    trials = search(lambda lr: math.inf if lr > 1e-4 else lr)
    assert min(tried(trials)) <= 1e-5
    assert not best_trial(trials).has_diverged


@pytest.mark.parametrize("direction", [-1, 1])
def test_an_error_that_never_turns_ends_the_search_and_is_told(direction: int) -> None:
    trials = search(lambda lr: -direction * lr)
    assert len(trials) == len(GRID) + MAX_EXTENSIONS + 1
    assert is_at_edge(trials)
    assert best_trial(trials).lr == pytest.approx({-1: 1e-5, 1: 1.0}[direction])


def trial(lr: float, value: float, **more: bool) -> LRTrial:
    return LRTrial(lr=lr, value=value, loss=value, **more)


def test_the_choice_is_the_lowest_point_of_a_parabola_through_three_trials() -> None:
    """Exact where the values are a parabola; between equal values half the way."""
    assert choose_lr(search(bowl(0.0041))) == 0.0041
    symmetric = [trial(0.01, 1.0), trial(0.1, 0.0), trial(1.0, 1.0)]
    assert choose_lr(symmetric) == 0.1
    assert choose_lr([trial(0.01, 5.0), trial(0.1, 0.0), trial(1.0, 0.0)]) == 0.316
    assert choose_lr([trial(0.01, 1.0), trial(0.1, 1.0), trial(1.0, 1.0)]) == 0.01


@pytest.mark.parametrize("flag", ["is_censored", "has_diverged"])
def test_a_neighbor_without_a_value_gives_no_parabola(flag: str) -> None:
    trials = [trial(0.01, 0.2), trial(0.1, 0.1), trial(1.0, 0.9, **{flag: True})]
    assert choose_lr(trials) == choose_lr(trials[1:]) == 0.1


def test_a_single_rate_is_not_tuned() -> None:
    assert next_lrs((0.01,), ()) == ()
    assert not is_at_edge([LRTrial(lr=0.01, value=1.0, loss=1.0)])


def test_a_grid_is_tried_in_the_order_it_is_given_in() -> None:
    assert next_lrs((0.003, 0.001, 0.01), ()) == (0.003, 0.001, 0.01)


@pytest.mark.parametrize(
    "better_and_worse",
    [
        (LRTrial(lr=0.2, value=0.4, loss=3.0), LRTrial(lr=0.1, value=0.5, loss=2.0)),
        (LRTrial(lr=0.2, value=0.5, loss=1.0), LRTrial(lr=0.1, value=0.5, loss=2.0)),
        (LRTrial(lr=0.1, value=0.5, loss=2.0), LRTrial(lr=0.2, value=0.5, loss=2.0)),
        (
            LRTrial(lr=0.2, value=5.0, loss=2.0),
            LRTrial(lr=0.1, value=4.5, loss=1.0, is_censored=True),
        ),
        (
            LRTrial(lr=0.2, value=1.0, loss=9.0),
            LRTrial(lr=0.1, value=1.0, loss=None, has_diverged=True),
        ),
    ],
    ids=["value", "loss", "rate", "censored", "diverged"],
)
def test_which_of_two_trials_is_the_better(better_and_worse: tuple[LRTrial, LRTrial]) -> None:
    better, worse = better_and_worse
    assert best_trial([worse, better]) == best_trial([better, worse]) == better


@given(
    st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=5, unique=True),
    st.dictionaries(st.integers(0, 30), st.sampled_from([0.1, 0.2, 0.5, math.inf])),
)
def test_every_search_ends_and_chooses_what_is_best_of_its_trials(
    grid: list[float], values: dict[int, float]
) -> None:
    """Whatever the values are; rates apart by less than the rounding are the hard case."""
    calls = iter(range(10**6))
    trials = search(lambda lr: values.get(next(calls), 0.3), grid)
    assert len(grid) < len(trials) + 1 <= len(grid) + 2 * MAX_EXTENSIONS + 3
    assert len(set(tried(trials))) == len(trials)
    assert all(best_trial(trials).rank <= trial.rank for trial in trials)
