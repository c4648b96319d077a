"""Intervals from few seeds and many images, by hand and by simulation, and the verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.evaluation.seeds_and_images import bayesian_bootstrap, t_interval
from alexnet.experiments.experiment import Comparison, Scale
from alexnet.experiments.intervals import (
    Interval,
    Verdict,
    image_noise,
    interval_of,
    overall_verdict,
    shared_std,
    verdict,
)
from alexnet.experiments.outcome import Outcome
from support.effects import effect_interval
from support.slow import first_fast


def outcome(value: float, *, is_censored: bool = False) -> Outcome:
    return Outcome(value=value, is_censored=is_censored)


def evaluated(answers: str) -> Outcome:
    """One image per letter, x where it is misclassified."""
    indices = tuple(range(len(answers)))
    return Outcome(
        value=answers.count("x") / len(answers),
        indices=indices,
        misclassified=tuple(i for i in indices if answers[i] == "x"),
    )


# by hand


def test_three_seeds_by_student_t() -> None:
    """Effects 1, 2, 3: mean 2, std 1; t(2) is 4.303, so the ends are 2 +- 4.303 / sqrt(3)."""
    seeds = [[(outcome(0.0), outcome(float(effect)))] for effect in (1, 2, 3)]
    found = effect_interval(seeds, "difference")
    assert found.estimate == pytest.approx(2)
    assert found.low == pytest.approx(2 - 2.484, abs=0.03)
    assert found.high == pytest.approx(2 + 2.484, abs=0.03)
    assert not found.is_unbounded_below
    assert not found.is_unbounded_above


def test_ten_seeds_by_student_t() -> None:
    """Effects 0..9: mean 4.5, std 3.028, t(9) is 2.262: 4.5 +- 2.166."""
    seeds = [[(outcome(0.0), outcome(float(effect)))] for effect in range(10)]
    found = effect_interval(seeds, "difference")
    assert (found.low, found.high) == pytest.approx((4.5 - 2.166, 4.5 + 2.166), abs=0.02)


def test_a_ratio_is_treated_on_a_log_scale() -> None:
    """Ratios 2, 4, 8: geometric mean 4, std of the logs ln 2; the ends are 4 * 2 ** +-2.484."""
    seeds = [[(outcome(5.0), outcome(5.0 * ratio))] for ratio in (2, 4, 8)]
    found = effect_interval(seeds, "ratio")
    assert found.estimate == pytest.approx(4)
    assert found.low == pytest.approx(4 / 2**2.484, rel=0.03)
    assert found.high == pytest.approx(4 * 2**2.484, rel=0.03)


def test_pairs_of_a_seed_are_averaged_first() -> None:
    """Two sizes per seed; effects (0, 2), (1, 3), (2, 4) are 1, 2, 3."""
    seeds = [
        [(outcome(0.0), outcome(float(i))), (outcome(0.0), outcome(float(i + 2)))] for i in range(3)
    ]
    alone = [[(outcome(0.0), outcome(float(i + 1)))] for i in range(3)]
    assert effect_interval(seeds, "difference") == effect_interval(alone, "difference")


def test_images_widen_an_interval_on_which_the_seeds_agree() -> None:
    """100 images, one arm wrong on 50, the other on 30 of these, in all seeds: the effect is .2.

    The standard error of the mean of 20 ones and 80 zeros is .04: .2 +- 1.96 * .04.
    """
    better, worse = evaluated("x" * 30 + "." * 70), evaluated("x" * 50 + "." * 50)
    found = effect_interval([[(better, worse)]] * 3, "difference")
    assert found.estimate == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - 1.96 * 0.04, abs=0.008)
    assert found.high == pytest.approx(0.2 + 1.96 * 0.04, abs=0.008)


def test_the_same_answers_have_no_effect_and_no_width() -> None:
    same = evaluated("xx..x")
    found = effect_interval([[(same, same)]] * 3, "difference")
    assert (found.estimate, found.low, found.high) == pytest.approx((0, 0, 0))


def test_an_image_has_one_weight_in_all_seeds() -> None:
    """Seeds that are wrong on the same images tell less than seeds that are wrong on others."""
    indices = [np.arange(200)] * 3
    ones = [np.arange(200) < 100] * 3
    same = bayesian_bootstrap([one.astype(float) for one in ones], indices).mean(0)
    shifted = [np.roll(one, 67 * i).astype(float) for i, one in enumerate(ones)]
    other = bayesian_bootstrap(shifted, indices).mean(0)
    assert same.std() == pytest.approx(math.sqrt(0.25 / 200), rel=0.06)
    assert other.std() < 0.8 * same.std()


def test_any_number_of_bootstrap_samples() -> None:
    values, indices = [np.arange(9.0)], [np.arange(9)]
    means = bayesian_bootstrap(values, indices, num_resamples=130)
    assert means.shape == (1, 130)
    assert np.array_equal(means[:, :100], bayesian_bootstrap(values, indices, num_resamples=100))


def test_runs_on_other_images_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="evaluated on 2 images"):
        effect_interval([[(evaluated("x.."), evaluated("x."))]] * 3, "difference")


# censored runs


def test_a_censored_run_removes_the_end_that_it_does_not_bound() -> None:
    reached, never = outcome(4.0), outcome(20.0, is_censored=True)
    above = effect_interval([[(reached, never)]] * 3, "ratio")
    assert (above.estimate, above.is_unbounded_below, above.is_unbounded_above) == (
        pytest.approx(5),
        False,
        True,
    )
    below = effect_interval([[(never, reached)]] * 3, "ratio")
    assert (below.is_unbounded_below, below.is_unbounded_above) == (True, False)
    both = effect_interval([[(never, never)]] * 3, "ratio")
    assert (both.is_unbounded_below, both.is_unbounded_above) == (True, True)


def test_a_lower_bound_can_be_reproduced_and_never_refuted() -> None:
    claim = Comparison(name="c", better=("a",), worse=("b",), scale="ratio", min_effect=2.0)
    far, near = (
        [[(outcome(base), outcome(20.0, is_censored=True))] for base in bases]
        for bases in ((4.0, 4.1, 4.2), (18.0, 18.1, 18.2))
    )
    assert verdict(effect_interval(far, "ratio"), claim, 3) == "reproduced"
    assert verdict(effect_interval(near, "ratio"), claim, 3) == "undecided"


def test_one_seed_has_no_ends_and_two_no_verdict() -> None:
    claim = Comparison(name="c", better=("a",), worse=("b",), min_effect=0.1)
    one = effect_interval([[(outcome(0.1), outcome(0.9))]], "difference")
    assert (one.is_unbounded_below, one.is_unbounded_above) == (True, True)
    assert verdict(one, claim, 1) == "undecided"
    sure = Interval(estimate=0.8, low=0.7, high=0.9)
    assert verdict(sure, claim, 2) == "undecided"
    assert verdict(sure, claim, 3) == "reproduced"


# verdicts


@pytest.mark.parametrize(
    ("low", "estimate", "high", "expected"),
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
def test_verdicts_of_a_difference_of_min_effect_002(
    low: float, estimate: float, high: float, expected: str
) -> None:
    claim = Comparison(name="c", better=("a",), worse=("b",), min_effect=0.02)
    assert verdict(Interval(estimate=estimate, low=low, high=high), claim, 3) == expected


@pytest.mark.parametrize(
    ("low", "estimate", "high", "expected"),
    [
        (1.1, 3.0, 8.0, "reproduced"),
        (0.9, 3.0, 9.0, "undecided"),
        (1.1, 1.5, 2.5, "undecided"),
        (1.1, 1.5, 1.9, "not reproduced"),
    ],
)
def test_verdicts_of_a_ratio_of_min_effect_2(
    low: float, estimate: float, high: float, expected: str
) -> None:
    claim = Comparison(name="c", better=("a",), worse=("b",), min_effect=2.0, scale="ratio")
    assert verdict(Interval(estimate=estimate, low=low, high=high), claim, 3) == expected


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    st.floats(0.001, 1),
    st.sampled_from(["difference", "ratio"]),
)
def test_a_verdict_is_never_both(ends: list[float], min_effect: float, scale: Scale) -> None:
    """An interval that reproduces a claim is on the claimed side; one that refutes it is below."""
    low, estimate, high = sorted(ends)
    claim = Comparison(
        name="c",
        better=("a",),
        worse=("b",),
        min_effect=min_effect + (scale == "ratio"),
        scale=scale,
    )
    shift = 1.0 if scale == "ratio" else 0.0
    found = verdict(
        Interval(estimate=estimate + shift, low=low + shift, high=high + shift), claim, 3
    )
    if found == "reproduced":
        assert low > 0
        assert high >= estimate >= min_effect - 1e-12
    if found == "not reproduced":
        assert high < min_effect + 1e-12


def test_of_several_claims_one_that_fails_decides() -> None:
    yes: Verdict = "reproduced"
    no: Verdict = "not reproduced"
    assert overall_verdict([yes, yes], [yes, "undecided"]) == yes
    assert overall_verdict([yes, "undecided"], [yes, "undecided"]) == "undecided"
    assert overall_verdict(["undecided", no, yes], ["undecided", no, yes]) == no


def test_one_of_several_fails_the_claim_only_by_its_simultaneous_interval() -> None:
    yes: Verdict = "reproduced"
    no: Verdict = "not reproduced"
    assert overall_verdict([yes, no], [yes, "undecided"]) == "undecided"
    assert overall_verdict([yes, no], [yes, no]) == no


def test_a_simultaneous_interval_by_hand() -> None:
    """Of 5 claims: 99 %; effects 1, 2, 3 with t(2) = 9.925 instead of 4.303."""
    seeds = [[(outcome(0.0), outcome(float(effect)))] for effect in (1, 2, 3)]
    found = interval_of([1.0, 2.0, 3.0], np.zeros((3, 1)), seeds, "difference", 1 - 0.05 / 5)
    assert found.high == pytest.approx(2 + 9.925 / math.sqrt(3), rel=0.02)


def test_the_noise_that_seeds_share_stays() -> None:
    """Same answers in every seed: all of it is shared. Other images in every seed: nothing is."""
    better, worse = evaluated("x" * 30 + "." * 170), evaluated("x" * 90 + "." * 110)
    same = image_noise([[(better, worse)]] * 3, "difference")
    assert shared_std(same) == pytest.approx(float(same[0].std()))
    rng = np.random.default_rng(0)
    other = image_noise(
        [
            [(evaluated("." * 400), evaluated("".join(rng.choice(["x", "."], 400))))]
            for _ in range(4)
        ],
        "difference",
    )
    assert shared_std(other) < 0.35 * float(other[0].std())


def test_a_pair_of_diverged_runs_leaves_the_noise_of_the_others() -> None:
    pair = (evaluated("x" * 30 + "." * 170), evaluated("x" * 90 + "." * 110))
    diverged = (Outcome(value=1.0, has_diverged=True),) * 2
    noise = image_noise([[pair], [diverged], [pair]], "difference")
    assert noise[0].std() > 0.01
    np.testing.assert_array_equal(noise[0], noise[2])
    np.testing.assert_array_equal(noise[1], np.zeros_like(noise[1]))


# simulation


def coverage(num_experiments: int, num_seeds: int, spread: float) -> float:
    """How often the interval covers a known effect, in simulated experiments.

    A seed shifts the effect by N(0, spread), an image by N(0, .5), both together by N(0, .5); the
    truth is the effect without any of these. 150 images.
    """
    rng, hits, truth = np.random.default_rng(7), 0, 0.02
    indices = [np.arange(150)] * num_seeds
    for _ in range(num_experiments):
        shared = rng.normal(0, 0.5, 150)
        values = [
            truth + rng.normal(0, spread) + shared + rng.normal(0, 0.5, 150)
            for _ in range(num_seeds)
        ]
        effects = [float(value.mean()) for value in values]
        noise = bayesian_bootstrap(values, indices, num_resamples=200).mean(0) - np.mean(effects)
        low, high = t_interval(effects, noise, num_samples=4_000)
        hits += low <= truth <= high
    return hits / num_experiments


@pytest.mark.slow
@pytest.mark.parametrize("spread", first_fast([0.05, 0.0, 0.3]))
def test_interval_covers_the_true_effect_as_often_as_it_claims(spread: float) -> None:
    """About 95 % or more, whether seeds or images dominate; 93 % is within two standard errors of
    400, which are 1.1 points each.
    """
    assert 0.93 <= coverage(400, 3, spread) <= 1.0


def test_a_bootstrap_of_three_seeds_would_not() -> None:
    """Even the widest such interval covers the true mean only three times in four."""
    rng = np.random.default_rng(3)
    seeds = rng.normal(0, 1, (4000, 3))
    picked = rng.integers(0, 3, (500, 3))
    means = seeds[:, picked].mean(2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) < 0.78
    assert np.mean((seeds.min(1) <= 0) & (seeds.max(1) >= 0)) == pytest.approx(0.75, abs=0.03)
