"""Confidence intervals of an effect from a few seeds and many images, and the verdicts.

An effect is uncertain for two reasons: other seeds would have given other networks, and other test
images other errors. A bootstrap over three seeds is too narrow: it never leaves the range of the
three values, which contains the true mean only three times in four. So the interval combines a
Student-t term for the seeds with a Bayesian bootstrap over the images. A sample of the effect is

    mean effect over the seeds, images reweighted  +  t * std / sqrt(num_seeds)

and the interval is between the 2.5 % and 97.5 % quantiles of the samples. The images' part of the
variance between seeds is counted in both terms, which makes the interval slightly too wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from alexnet.evaluation.intervals import CONFIDENCE_LEVEL
from alexnet.evaluation.seeds_and_images import bayesian_bootstrap, t_interval
from alexnet.experiments.experiment import MIN_SEEDS, Comparison, Scale
from alexnet.experiments.outcome import Outcome

Verdict: TypeAlias = Literal["reproduced", "not reproduced", "undecided"]
Pair: TypeAlias = tuple[Outcome, Outcome]
"""The outcomes with one seed: of the arm that should be better, and of the one that should be
worse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An effect and its 95 % confidence interval."""

    estimate: float
    low: float
    high: float
    is_unbounded_below: bool = False
    """Whether there is no lower end; `low` is then meaningless."""
    is_unbounded_above: bool = False
    """Whether there is no upper end; `high` is then meaningless."""


def interval_of(
    effects: Sequence[float],
    noise: np.ndarray,
    seeds: Sequence[Sequence[Pair]],
    scale: Scale,
    level: float = CONFIDENCE_LEVEL,
) -> Interval:
    """The confidence interval of an effect.

    Where the worse value is censored there is no upper end, and where the better one is there is
    no lower end. With one seed there is neither.

    Args:
        effects: as `seed_effects` gives them.
        noise: as `image_noise` gives it.
        seeds: the outcomes, which tell what is censored.
        scale: scale of the effects.
        level: the confidence level, between 0 and 1.
    """
    low, high = t_interval(effects, noise.mean(0), level=level)
    is_single = len(effects) < 2
    pairs = [pair for of_seed in seeds for pair in of_seed]
    from_log = math.exp if scale == "ratio" else float
    return Interval(
        estimate=from_log(float(np.mean(effects))),
        low=from_log(low),
        high=from_log(high),
        is_unbounded_below=is_single or any(better.is_censored for better, _ in pairs),
        is_unbounded_above=is_single or any(worse.is_censored for _, worse in pairs),
    )


def seed_effects(seeds: Sequence[Sequence[Pair]], scale: Scale) -> list[float]:
    """Every seed's effect, averaged over its pairs; for ratios the logarithm.

    Args:
        seeds: for every seed the pairs whose effects are averaged, in the same order.
        scale: worse minus better, or worse divided by better; ratios are averaged geometrically.
    """
    return [float(np.mean([_effect(pair, scale) for pair in pairs])) for pairs in seeds]


def verdict(interval: Interval, comparison: Comparison, num_seeds: int) -> Verdict:
    """What the interval means for a claim, whose smallest effect is `Comparison.min_effect`.

    reproduced: the whole interval is on the claimed side, and the estimate is at least
        `min_effect`.
    not reproduced: the whole interval is below `min_effect`.
    undecided: neither, or fewer than three seeds.
    """
    if num_seeds < MIN_SEEDS:
        return "undecided"
    is_positive = not interval.is_unbounded_below and interval.low > comparison.no_effect
    if is_positive and interval.estimate >= comparison.min_effect:
        return "reproduced"
    if not interval.is_unbounded_above and interval.high < comparison.min_effect:
        return "not reproduced"
    return "undecided"


def simultaneous_level(num_claims: int) -> float:
    """The level at which `num_claims` intervals are all right in 95 % of the cases (Bonferroni)."""
    return 1 - (1 - CONFIDENCE_LEVEL) / num_claims


def overall_verdict(verdicts: Sequence[Verdict], simultaneous: Sequence[Verdict]) -> Verdict:
    """The verdict on several claims: reproduced if all are, not reproduced if one surely is not.

    Args:
        verdicts: the verdict on every claim by its own 95 % interval.
        simultaneous: the verdicts by the intervals at `simultaneous_level`. With one of k
            claims at 95 % each, a true claim would be refuted up to k times as often as promised.
    """
    if "not reproduced" in simultaneous:
        return "not reproduced"
    return "reproduced" if set(verdicts) == {"reproduced"} else "undecided"


def _effect(pair: Pair, scale: Scale) -> float:
    """Worse minus better, or the logarithm of worse divided by better."""
    better, worse = pair
    if scale == "ratio":
        return math.log(worse.value / better.value)
    return worse.value - better.value


def image_noise(seeds: Sequence[Sequence[Pair]], scale: Scale) -> np.ndarray:
    """Deviation of every seed's effect in each bootstrap sample of the images: float64 [seeds, R].

    Zeros where the effect is a ratio or no mean over images. A pair of diverged runs, which were
    evaluated on no images, counts as wrong on the images of another pair.
    """
    pairs = [pair for of_seed in seeds for pair in of_seed]
    evaluated = [better.indices or worse.indices for better, worse in pairs]
    of_any = next(filter(None, evaluated), ())
    if scale == "ratio" or not of_any:
        return np.zeros((len(seeds), 1))
    indices = [np.array(group or of_any) for group in evaluated]
    values = [
        worse.zero_one_loss(group) - better.zero_one_loss(group)
        for (better, worse), group in zip(pairs, indices, strict=True)
    ]
    means = np.array([[value.mean()] for value in values])
    noise = bayesian_bootstrap(values, indices) - means
    return np.asarray(noise.reshape(len(seeds), -1, noise.shape[1]).mean(1))


def shared_std(noise: np.ndarray) -> float:
    """Standard deviation of the part of the images' noise, [seeds, R], that all seeds share."""
    count = len(noise)
    if count < 2:
        return 0.0
    of_mean, single = float(np.var(noise.mean(0))), float(np.mean(np.var(noise, axis=1)))
    return math.sqrt(max(0.0, (count * of_mean - single) / (count - 1)))
