"""Intervals of few seeds and many pictures, by hand and by simulation, and the rule of verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.experiments import intervals
from alexnet.experiments.experiment import Comparison, Scale
from alexnet.experiments.intervals import (
    Interval,
    bayesian_bootstrap,
    effect_interval,
    overall,
    t_interval,
    verdict,
)
from alexnet.experiments.outcome import Outcome


def outcome(value: float, *, is_bound: bool = False) -> Outcome:
    return Outcome(value=value, is_bound=is_bound)


def judged(wrong: str) -> Outcome:
    """One picture a letter, x where it is judged wrongly."""
    rows = tuple(range(len(wrong)))
    return Outcome(
        value=wrong.count("x") / len(wrong),
        pictures=rows,
        wrong=tuple(i for i in rows if wrong[i] == "x"),
    )


# by hand


def test_three_seeds_by_students_t() -> None:
    """Effects 1, 2, 3: mean 2, sd 1, t of 2 degrees 4.303: 2 +- 4.303 / sqrt(3) = 2 +- 2.484."""
    seeds = [[(outcome(0.0), outcome(float(effect)))] for effect in (1, 2, 3)]
    found = effect_interval(seeds, "difference")
    assert found.estimate == pytest.approx(2)
    assert found.low == pytest.approx(2 - 2.484, abs=0.03)
    assert found.high == pytest.approx(2 + 2.484, abs=0.03)
    assert not found.is_open_below
    assert not found.is_open_above


def test_ten_seeds_by_students_t() -> None:
    """Effects 0..9: mean 4.5, sd 3.028, t of 9 degrees 2.262: 4.5 +- 2.166."""
    seeds = [[(outcome(0.0), outcome(float(effect)))] for effect in range(10)]
    found = effect_interval(seeds, "difference")
    assert (found.low, found.high) == pytest.approx((4.5 - 2.166, 4.5 + 2.166), abs=0.02)


def test_a_ratio_is_taken_by_its_logarithm() -> None:
    """Ratios 2, 4, 8: geometric mean 4; logs have sd ln 2, so the ends are 4 * 2 ** +-2.484."""
    seeds = [[(outcome(5.0), outcome(5.0 * ratio))] for ratio in (2, 4, 8)]
    found = effect_interval(seeds, "ratio")
    assert found.estimate == pytest.approx(4)
    assert found.low == pytest.approx(4 / 2**2.484, rel=0.03)
    assert found.high == pytest.approx(4 * 2**2.484, rel=0.03)


def test_pairs_of_a_seed_are_averaged_first() -> None:
    """Two sizes a seed; effects (0, 2), (1, 3), (2, 4) are 1, 2, 3."""
    seeds = [
        [(outcome(0.0), outcome(float(i))), (outcome(0.0), outcome(float(i + 2)))] for i in range(3)
    ]
    alone = [[(outcome(0.0), outcome(float(i + 1)))] for i in range(3)]
    assert effect_interval(seeds, "difference") == effect_interval(alone, "difference")


def test_pictures_widen_an_interval_that_the_seeds_agree_on() -> None:
    """100 pictures, one arm wrong on 50, the other on 30 of these, in all seeds: the effect is .2.

    The standard error of the mean of 20 ones and 80 zeros is .04: .2 +- 1.96 * .04.
    """
    better, worse = judged("x" * 30 + "." * 70), judged("x" * 50 + "." * 50)
    found = effect_interval([[(better, worse)]] * 3, "difference")
    assert found.estimate == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - 1.96 * 0.04, abs=0.008)
    assert found.high == pytest.approx(0.2 + 1.96 * 0.04, abs=0.008)


def test_the_same_answers_have_no_effect_and_no_width() -> None:
    same = judged("xx..x")
    found = effect_interval([[(same, same)]] * 3, "difference")
    assert (found.estimate, found.low, found.high) == pytest.approx((0, 0, 0))


def test_a_picture_has_one_weight_in_all_seeds() -> None:
    """Seeds that err on the same pictures say less than seeds that err on others."""
    rows = [np.arange(200)] * 3
    ones = [np.arange(200) < 100] * 3
    same = bayesian_bootstrap([one.astype(float) for one in ones], rows)
    shifted = [np.roll(one, 67 * i).astype(float) for i, one in enumerate(ones)]
    other = bayesian_bootstrap(shifted, rows)
    assert same.std() == pytest.approx(math.sqrt(0.25 / 200), rel=0.06)
    assert other.std() < 0.8 * same.std()


def test_answers_on_other_pictures_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="pictures were judged"):
        effect_interval([[(judged("x.."), judged("x."))]] * 3, "difference")


# bounds


def test_bounds_open_the_end_that_they_do_not_hold() -> None:
    reached, never = outcome(4.0), outcome(20.0, is_bound=True)
    above = effect_interval([[(reached, never)]] * 3, "ratio")
    assert (above.estimate, above.is_open_below, above.is_open_above) == (
        pytest.approx(5),
        False,
        True,
    )
    below = effect_interval([[(never, reached)]] * 3, "ratio")
    assert (below.is_open_below, below.is_open_above) == (True, False)
    both = effect_interval([[(never, never)]] * 3, "ratio")
    assert (both.is_open_below, both.is_open_above) == (True, True)


def test_a_lower_bound_can_be_reproduced_and_never_refuted() -> None:
    claim = Comparison(name="c", better=("a",), worse=("b",), scale="ratio", at_least=2.0)
    far, near = (
        [[(outcome(base), outcome(20.0, is_bound=True))] for base in bases]
        for bases in ((4.0, 4.1, 4.2), (18.0, 18.1, 18.2))
    )
    assert verdict(effect_interval(far, "ratio"), claim, 3) == "reproduced"
    assert verdict(effect_interval(near, "ratio"), claim, 3) == "undecided"


def test_one_seed_has_no_ends_and_two_no_verdict() -> None:
    claim = Comparison(name="c", better=("a",), worse=("b",), at_least=0.1)
    one = effect_interval([[(outcome(0.1), outcome(0.9))]], "difference")
    assert (one.is_open_below, one.is_open_above) == (True, True)
    assert verdict(one, claim, 1) == "undecided"
    sure = Interval(estimate=0.8, low=0.7, high=0.9)
    assert verdict(sure, claim, 2) == "undecided"
    assert verdict(sure, claim, 3) == "reproduced"


# the rule


@pytest.mark.parametrize(
    ("low", "estimate", "high", "said"),
    [
        (0.01, 0.05, 0.09, "reproduced"),
        (-0.01, 0.05, 0.11, "undecided"),
        (0.001, 0.015, 0.03, "undecided"),
        (0.001, 0.005, 0.009, "not reproduced"),
        (-0.01, 0.0, 0.01, "not reproduced"),
        (-0.09, -0.05, -0.01, "not reproduced"),
        (-0.03, 0.0, 0.03, "undecided"),
        (0.0, 0.05, 0.1, "undecided"),
        (-0.05, 0.0, 0.02, "undecided"),
    ],
)
def test_verdicts_of_a_difference_of_at_least_002(
    low: float, estimate: float, high: float, said: str
) -> None:
    claim = Comparison(name="c", better=("a",), worse=("b",), at_least=0.02)
    assert verdict(Interval(estimate=estimate, low=low, high=high), claim, 3) == said


@pytest.mark.parametrize(
    ("low", "estimate", "high", "said"),
    [
        (1.1, 3.0, 8.0, "reproduced"),
        (0.9, 3.0, 9.0, "undecided"),
        (1.1, 1.5, 2.5, "undecided"),
        (1.1, 1.5, 1.9, "not reproduced"),
    ],
)
def test_verdicts_of_a_ratio_of_at_least_2(
    low: float, estimate: float, high: float, said: str
) -> None:
    claim = Comparison(name="c", better=("a",), worse=("b",), at_least=2.0, scale="ratio")
    assert verdict(Interval(estimate=estimate, low=low, high=high), claim, 3) == said


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    st.floats(0.001, 1),
    st.sampled_from(["difference", "ratio"]),
)
def test_a_verdict_is_never_both(ends: list[float], at_least: float, scale: Scale) -> None:
    """What is reproduced is not refuted by the same interval, whatever it is."""
    low, estimate, high = sorted(ends)
    claim = Comparison(
        name="c",
        better=("a",),
        worse=("b",),
        at_least=at_least + (scale == "ratio"),
        scale=scale,
    )
    shift = 1.0 if scale == "ratio" else 0.0
    said = verdict(
        Interval(estimate=estimate + shift, low=low + shift, high=high + shift), claim, 3
    )
    if said == "reproduced":
        assert low > 0
        assert high >= estimate >= at_least - 1e-12
    if said == "not reproduced":
        assert high < at_least + 1e-12


def test_of_several_claims_one_that_fails_decides() -> None:
    assert overall(["reproduced", "reproduced"]) == "reproduced"
    assert overall(["reproduced", "undecided"]) == "undecided"
    assert overall(["undecided", "not reproduced", "reproduced"]) == "not reproduced"


# simulation


def covered(count: int, seeds: int, spread: float, monkeypatch: pytest.MonkeyPatch) -> float:
    """How often the interval holds a known effect, over `count` drawn experiments.

    A seed moves the effect by N(0, spread), a picture by N(0, .5), both together by N(0, .5); the
    truth is the effect without any of these. 150 pictures.
    """
    monkeypatch.setattr(intervals, "DRAWS", 4_000)
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    rng, hits, truth = np.random.default_rng(7), 0, 0.02
    rows = [np.arange(150)] * seeds
    for _ in range(count):
        shared = rng.normal(0, 0.5, 150)
        values = [
            truth + rng.normal(0, spread) + shared + rng.normal(0, 0.5, 150) for _ in range(seeds)
        ]
        effects = [float(value.mean()) for value in values]
        noise = bayesian_bootstrap(values, rows) - np.mean(effects)
        low, high = t_interval(effects, noise)
        hits += low <= truth <= high
    return hits / count


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3])
def test_interval_holds_the_truth_as_often_as_it_says(
    spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """95 % or more, whether seeds or pictures decide; 400 draws have a standard error of 1.1 %."""
    share = covered(400, 3, spread, monkeypatch)
    assert 0.93 <= share <= 1.0


def test_resampling_three_seeds_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the seeds are not bootstrapped: the widest such interval holds the truth 3 times in 4."""
    rng = np.random.default_rng(3)
    seeds = rng.normal(0, 1, (4000, 3))
    picked = rng.integers(0, 3, (500, 3))
    means = seeds[:, picked].mean(2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) < 0.78
    assert np.mean((seeds.min(1) <= 0) & (seeds.max(1) >= 0)) == pytest.approx(0.75, abs=0.03)
