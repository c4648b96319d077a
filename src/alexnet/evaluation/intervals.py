"""How certain an error is: intervals from counts of images, and a test of two models on the same.

All of it is about the images alone. Another seed would have given another model, which no interval
from one training can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE_LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2)
_BISECTIONS = 60
"""Halvings of an interval of length 2, after which float64 has no more digits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfidenceInterval:
    """The ends of a 95 % confidence interval."""

    low: float
    high: float


def wilson_interval(count: int, total: int) -> ConfidenceInterval:
    """The interval of a fraction, such as an error: `count` of `total` images, 0 to 1.

    Raises:
        ValueError: there are no images, or `count` is not between 0 and `total`.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if not 0 <= count <= total or not total:
        raise ValueError(f"{count} of {total} is no fraction")
    fraction, shrink = count / total, 1 + _Z**2 / total
    center = (fraction + _Z**2 / (2 * total)) / shrink
    variance = fraction * (1 - fraction) / total + (_Z / (2 * total)) ** 2
    half = _Z / shrink * math.sqrt(variance)
    return ConfidenceInterval(
        low=0.0 if count == 0 else center - half,
        high=1.0 if count == total else center + half,
    )


def interval_of_fraction(fraction: float | None, total: int) -> ConfidenceInterval | None:
    """The same of a fraction that is known already; None for a fraction of nothing."""
    return None if fraction is None else wilson_interval(round(fraction * total), total)


def percent_with_interval(fraction: float | None, total: int) -> str:
    """A fraction of `total` images for people: "12.5 % (9.1 to 16.9 %)"; a dash for None.

    With two decimals where the interval is narrower than a percentage point.
    """
    if fraction is None:
        return "-"
    interval = wilson_interval(round(fraction * total), total)
    digits = 2 if interval.high - interval.low < 0.01 else 1
    low, high, value = (f"{100 * x:.{digits}f}" for x in (interval.low, interval.high, fraction))
    return f"{value} % ({low} to {high} %)"


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test that two models have the same error.

    Args:
        only_first: images that only the first model gets wrong.
        only_second: images that only the second model gets wrong.

    Images that both get right, or both wrong, do not count. Under the hypothesis each of the others
    is either kind with probability 1/2.

    Raises:
        ValueError: a negative count.

    Source: McNemar 1947; the exact form is the sign test, a binomial test with p = 1/2.
    """
    fewer, total = min(only_first, only_second), only_first + only_second
    if fewer < 0:
        raise ValueError(f"{only_first} and {only_second} are no counts")
    term, tail = 1, 1
    for i in range(fewer):
        term = term * (total - i) // (i + 1)  # the binomial coefficient of i + 1
        tail += term
    return min(1.0, 2 * tail / (1 << total))


def paired_difference_interval(only_first: int, only_second: int, total: int) -> ConfidenceInterval:
    """The interval of the first model's error minus the second's, on the same images.

    Args:
        only_first: images that only the first model gets wrong.
        only_second: images that only the second model gets wrong.
        total: all images.

    Raises:
        ValueError: no images, a negative count, or more wrong images than images.

    Source: Tango 1998, "Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design": all differences that the score test does not reject.
    """
    if min(only_first, only_second) < 0 or not 0 < total >= only_first + only_second:
        raise ValueError(f"{only_first} and {only_second} of {total} are no counts")

    def score(difference: float) -> float:
        return _tango_score(only_first, only_second, total, difference)

    return ConfidenceInterval(
        low=-1.0 if only_second == total else _where_it_falls_to(_Z, score),
        high=1.0 if only_first == total else _where_it_falls_to(-_Z, score),
    )


def _tango_score(only_first: int, only_second: int, total: int, difference: float) -> float:
    """The score statistic for a difference between -1 and 1; it falls as that rises.

    Its variance needs the likeliest probability of "only the second is wrong", which solves
    a q^2 + b q + c = 0.
    """
    surplus = only_first - only_second - total * difference
    a, b = 2 * total, (2 * total - only_first + only_second) * difference - only_first - only_second
    c = -only_second * difference * (1 - difference)
    q = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = total * (2 * q + difference * (1 - difference))
    if variance <= 0:
        return math.copysign(math.inf, surplus) if surplus else 0.0
    return surplus / math.sqrt(variance)


def _where_it_falls_to(level: float, score: Callable[[float], float]) -> float:
    """The difference between -1 and 1 at which a falling score has this level."""
    low, high = -1.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) > level else (low, middle)
    return (low + high) / 2


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests, adjusted so that together they err as rarely as one does.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
