"""How certain an error is: intervals from counts of images, and a test of two models on the same.

These are about the images alone. Another seed would have given another model, which no interval
from one training can tell; the t intervals of several trainings, at the end, are about the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

import numpy as np

CONFIDENCE_LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2)
_BISECTIONS = 60
"""Halvings of an interval of length 2, after which float64 has no more digits."""

_T_NODES = 64
"""Points of Gauss's quadrature, exact to 1e-9 for up to a thousand degrees of freedom."""


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
    """Wilson's interval of a known fraction of `total` images; None if `fraction` is None."""
    return None if fraction is None else wilson_interval(round(fraction * total), total)


def error_text(error: float, num_images: int) -> str:
    """An error, 0 to 1, with its number of images: "12.50 % (n = 1,360)"."""
    return f"{100 * error:.2f} % (n = {num_images:,})"


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


def mean_t_interval(values: Sequence[float]) -> ConfidenceInterval:
    """Student's interval of the mean of two values or more, such as errors of several seeds.

    The values may also be differences of pairs.

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError("a t interval needs two values or more")
    half = t_quantile(len(values) - 1) * math.sqrt(variance(values) / len(values))
    return ConfidenceInterval(low=fmean(values) - half, high=fmean(values) + half)


def welch_interval(first: Sequence[float], second: Sequence[float]) -> ConfidenceInterval:
    """The interval of the mean of `first` minus that of `second`, two values or more of each.

    Raises:
        ValueError: fewer than two values.

    Source: Welch 1947; the degrees of freedom are Satterthwaite's.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError("a t interval needs two values or more")
    parts = [(variance(values) / len(values), len(values) - 1) for values in (first, second)]
    total = sum(part for part, _ in parts)
    difference = fmean(first) - fmean(second)
    if not total:
        return ConfidenceInterval(low=difference, high=difference)
    degrees = 1 / sum((part / total) ** 2 / count for part, count in parts)
    half = t_quantile(degrees) * math.sqrt(total)
    return ConfidenceInterval(low=difference - half, high=difference + half)


def t_quantile(degrees: float) -> float:
    """The t for which 95 % of Student's distribution lie between -t and t: its 97.5 % quantile.

    Args:
        degrees: degrees of freedom, 1 or more.

    With t = sqrt(degrees) tan(angle), the density is cos(angle)^(degrees - 1) but for a factor,
    which is smooth up to the angle that is looked for.
    """
    half = math.lgamma(degrees / 2) - math.lgamma((degrees + 1) / 2)
    goal = CONFIDENCE_LEVEL * math.sqrt(math.pi) / 2 * math.exp(half)
    nodes, weights = np.polynomial.legendre.leggauss(_T_NODES)
    low, high = 0.0, math.pi / 2
    for _ in range(_BISECTIONS):
        angle = (low + high) / 2
        density = np.cos(angle * (nodes + 1) / 2) ** (degrees - 1)
        is_below = angle / 2 * float(weights @ density) < goal
        low, high = (angle, high) if is_below else (low, angle)
    return math.sqrt(degrees) * math.tan(low)
