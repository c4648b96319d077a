"""Intervals of an effect from a few seeds and many pictures, and the verdict that follows.

Two things make a measured effect uncertain. Another seed would have given other networks, and other
test pictures would have been judged. Three seeds cannot be resampled honestly: an interval from
resampling three values never leaves their range and holds the truth three times in four at most.
So the seeds enter by Student's t with their own standard deviation, and the pictures, of which
there are many, by the bootstrap: one draw of the interval is

    mean effect over the seeds, pictures resampled  +  t * sd / sqrt(seeds)

and the interval is where 95 % of the draws lie. What pictures add to the deviation between seeds is
counted in both terms, which makes the interval a little too wide rather than too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from alexnet.experiments.experiment import Comparison, Scale
from alexnet.experiments.outcome import Outcome

LEVEL = 0.95
RESAMPLES = 2_000
"""Resamplings of the pictures."""
DRAWS = 400_000
"""Draws of the sum; with three seeds the ends are then right to about 1 % of the width."""
LEAST_SEEDS = 3
"""Fewer give no verdict."""

Verdict: TypeAlias = Literal["reproduced", "not reproduced", "undecided"]
Pair: TypeAlias = tuple[Outcome, Outcome]
"""What the arm that should be better and the one that should be worse gave, with one seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An effect and where 95 % of the belief in it lies."""

    estimate: float
    low: float
    high: float
    is_open_below: bool = False
    """True: nothing is known of the lower end, and `low` is not one."""
    is_open_above: bool = False
    """True: nothing is known of the upper end, and `high` is not one."""


def effect_interval(seeds: Sequence[Sequence[Pair]], scale: Scale) -> Interval:
    """The interval of an effect.

    Args:
        seeds: for every seed the pairs that are averaged, in the same order.
        scale: worse minus better, or worse divided by better (then averages are geometric).

    An effect whose larger value is only a lower bound is open above, and one whose smaller value is
    one is open below. With one seed both ends are open.
    """
    effects = [float(np.mean([_effect(pair, scale) for pair in pairs])) for pairs in seeds]
    noise = _picture_noise(seeds) if scale == "difference" else np.zeros(1)
    low, high = t_interval(effects, noise)
    is_alone = len(effects) < 2
    pairs = [pair for one in seeds for pair in one]
    back = math.exp if scale == "ratio" else float
    return Interval(
        estimate=back(float(np.mean(effects))),
        low=back(low),
        high=back(high),
        is_open_below=is_alone or any(better.is_bound for better, _ in pairs),
        is_open_above=is_alone or any(worse.is_bound for _, worse in pairs),
    )


def t_interval(effects: Sequence[float], noise: np.ndarray) -> tuple[float, float]:
    """The two ends of the interval of a mean.

    Args:
        effects: one a seed.
        noise: [R], how far resampling the pictures moved the mean; zeros where nothing was
            resampled.
    """
    count, mean = len(effects), float(np.mean(effects))
    if count < 2:
        return mean, mean
    rng = np.random.default_rng(0)
    standard_error = float(np.std(effects, ddof=1)) / math.sqrt(count)
    draws = rng.choice(noise, DRAWS) + standard_error * rng.standard_t(count - 1, DRAWS)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return mean + float(low), mean + float(high)


def bayesian_bootstrap(values: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over the groups of their mean over resampled pictures: float64 [RESAMPLES].

    Args:
        values: for every group one value a picture.
        rows: the pictures' numbers, by which a picture has the same weight in all groups.

    Weights are exponential, which is the bootstrap without its steps (Rubin 1981).
    """
    known = np.unique(np.concatenate(rows))
    places = [np.searchsorted(known, row) for row in rows]
    rng, means = np.random.default_rng(1), np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, 50):
        weights = rng.standard_exponential((50, len(known)))
        groups = [
            weights[:, place] @ value / weights[:, place].sum(1)
            for value, place in zip(values, places, strict=True)
        ]
        means[start : start + 50] = np.mean(groups, axis=0)
    return means


def verdict(interval: Interval, comparison: Comparison, num_seeds: int) -> Verdict:
    """What the interval says of a claim; `at_least` is the smallest effect that counts.

    reproduced: the whole interval is on the claimed side, and the estimate is at least `at_least`.
    not reproduced: the whole interval is below `at_least`.
    undecided: neither, or fewer than three seeds.
    """
    if num_seeds < LEAST_SEEDS:
        return "undecided"
    is_positive = not interval.is_open_below and interval.low > comparison.no_effect
    if is_positive and interval.estimate >= comparison.at_least:
        return "reproduced"
    if not interval.is_open_above and interval.high < comparison.at_least:
        return "not reproduced"
    return "undecided"


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several claims: reproduced when all are, not reproduced when one is not."""
    if "not reproduced" in verdicts:
        return "not reproduced"
    return "reproduced" if set(verdicts) == {"reproduced"} else "undecided"


def _effect(pair: Pair, scale: Scale) -> float:
    better, worse = pair
    if scale == "ratio":
        return math.log(worse.value / better.value)
    return worse.value - better.value


def _picture_noise(seeds: Sequence[Sequence[Pair]]) -> np.ndarray:
    """How far resampling the pictures moves the mean effect: float64 [R]."""
    pairs = [pair for one in seeds for pair in one]
    rows = [np.array(better.pictures or worse.pictures) for better, worse in pairs]
    if not all(len(row) for row in rows):
        return np.zeros(1)
    values = [
        worse.wrong_on(row) - better.wrong_on(row)
        for (better, worse), row in zip(pairs, rows, strict=True)
    ]
    mean = float(np.mean([value.mean() for value in values]))
    return np.asarray(bayesian_bootstrap(values, rows) - mean)
