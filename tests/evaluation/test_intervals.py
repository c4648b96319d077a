"""Intervals and tests against published values, and against exact sums."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.evaluation.intervals import (
    holm_adjusted,
    interval_of_fraction,
    mcnemar_p_value,
    paired_difference_interval,
    percent_with_interval,
    wilson_interval,
)

Z = NormalDist().inv_cdf(0.975)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(count: int, total: int, low: float, high: float) -> None:
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I."""
    interval = wilson_interval(count, total)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.slow
@given(st.integers(1, 500), st.data())
def test_wilson_ends_at_fractions_of_that_score(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    interval = wilson_interval(count, total)
    assert 0 <= interval.low <= count / total <= interval.high <= 1
    for end in {interval.low, interval.high} - {0.0, 1.0}:
        distance = abs(count / total - end) / math.sqrt(end * (1 - end) / total)
        assert distance == pytest.approx(Z)


@pytest.mark.parametrize("counts", [(0, 0), (-1, 5), (6, 5)])
def test_no_fraction_has_no_interval(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is no fraction"):
        wilson_interval(*counts)


@pytest.mark.parametrize(
    ("first", "second", "total", "low", "high"),
    [(1, 7, 21, -0.517, -0.026), (6, 16, 161, -0.124, -0.005)],
)
def test_paired_difference_as_published(
    first: int, second: int, total: int, low: float, high: float
) -> None:
    """Fagerland, Lydersen and Laake 2014, "Recommended tests and confidence intervals for paired
    binomial proportions": Tango's interval for their two examples."""
    interval = paired_difference_interval(first, second, total)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-4)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_paired_difference_turns_around_with_the_models(first: int, second: int, both: int) -> None:
    total = first + second + both
    if not total:
        return
    one = paired_difference_interval(first, second, total)
    other = paired_difference_interval(second, first, total)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert -1 <= one.low <= (first - second) / total <= one.high <= 1


def test_paired_difference_without_any_is_wilsons_of_none() -> None:
    interval = paired_difference_interval(0, 0, 20)
    assert interval.high == pytest.approx(wilson_interval(0, 20).high, abs=1e-9)
    assert interval.low == pytest.approx(-interval.high, abs=1e-9)


@pytest.mark.parametrize("counts", [(0, 0, 0), (-1, 1, 5), (3, 3, 5)])
def test_paired_difference_of_impossible_counts(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="are no counts"):
        paired_difference_interval(*counts)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (0, 6, 2 / 64), (1, 7, 18 / 256), (6, 16, 0.0525)],
)
def test_mcnemar_by_hand(first: int, second: int, p: float) -> None:
    assert mcnemar_p_value(first, second) == pytest.approx(p, abs=5e-5)
    assert mcnemar_p_value(second, first) == mcnemar_p_value(first, second)


@given(st.integers(0, 80), st.integers(0, 80))
def test_mcnemar_is_the_sum_of_the_binomial_coefficients(first: int, second: int) -> None:
    total = first + second
    tail = sum(math.comb(total, i) for i in range(min(first, second) + 1))
    assert mcnemar_p_value(first, second) == min(1.0, 2 * tail / 2**total)


def test_mcnemar_of_many_images_is_exact_and_quick() -> None:
    assert mcnemar_p_value(2_000, 2_200) == pytest.approx(
        2 * NormalDist().cdf(-199 / math.sqrt(4_200)), rel=1e-2
    )
    with pytest.raises(ValueError, match="are no counts"):
        mcnemar_p_value(-1, 2)


def test_holm_by_hand() -> None:
    assert holm_adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_adjusted([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm_adjusted([]) == []


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [
        (25, 200, "12.5 % (8.6 to 17.8 %)"),
        (0, 12, "0.0 % (0.0 to 24.2 %)"),
        (71, 10_000, "0.71 % (0.56 to 0.89 %)"),
        (731, 10_000, "7.3 % (6.8 to 7.8 %)"),
    ],
)
def test_a_fraction_for_people_has_its_interval(count: int, total: int, text: str) -> None:
    assert percent_with_interval(count / total, total) == text


def test_a_fraction_of_nothing_is_a_dash() -> None:
    assert percent_with_interval(None, 0) == "-"
    assert interval_of_fraction(None, 0) is None


@pytest.mark.parametrize("total", [3, 7, 49, 1_000_003])
def test_the_interval_of_a_fraction_is_that_of_its_count(total: int) -> None:
    for count in (0, 1, total // 3, total):
        assert interval_of_fraction(count / total, total) == wilson_interval(count, total)
