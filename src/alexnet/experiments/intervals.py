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
from alexnet.experiments.experiment import MIN_SEEDS, Comparison, Scale
from alexnet.experiments.outcome import Outcome

NUM_RESAMPLES = 2_000
"""Bootstrap samples of the images."""
NUM_SAMPLES = 400_000
"""Samples of the sum; with three seeds the ends are then accurate to about 1 % of the width."""
CHUNK = 50
"""Bootstrap samples that are computed together, which bounds the memory."""

Verdict: TypeAlias = Literal["reproduced", "not reproduced", "undecided"]
Pair: TypeAlias = tuple[Outcome, Outcome]
"""With one seed, the outcomes of the arm that should be better and of the one that should be
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


def effect_interval(seeds: Sequence[Sequence[Pair]], scale: Scale) -> Interval:
    """The 95 % confidence interval of an effect.

    Args:
        seeds: for every seed the pairs whose effects are averaged, in the same order.
        scale: worse minus better, or worse divided by better; ratios are averaged geometrically.

    Where the worse value is censored there is no upper end, and where the better one is there is
    no lower end. With one seed there is neither.
    """
    effects = [float(np.mean([_effect(pair, scale) for pair in pairs])) for pairs in seeds]
    noise = _image_noise(seeds) if scale == "difference" else np.zeros(1)
    low, high = t_interval(effects, noise)
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


def t_interval(
    effects: Sequence[float], noise: np.ndarray, num_samples: int = NUM_SAMPLES
) -> tuple[float, float]:
    """The lower and upper end of the interval of a mean.

    Args:
        effects: one per seed.
        noise: [R], deviation of the mean in each bootstrap sample of the images; zeros where the
            images are not resampled.
        num_samples: of the sum of both terms.
    """
    count, mean = len(effects), float(np.mean(effects))
    if count < 2:
        return mean, mean
    rng = np.random.default_rng(0)
    standard_error = float(np.std(effects, ddof=1)) / math.sqrt(count)
    samples = rng.choice(noise, num_samples)
    samples = samples + standard_error * rng.standard_t(count - 1, num_samples)
    low, high = np.quantile(samples, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
    return mean + float(low), mean + float(high)


def bayesian_bootstrap(
    values: Sequence[np.ndarray],
    indices: Sequence[np.ndarray],
    num_resamples: int = NUM_RESAMPLES,
) -> np.ndarray:
    """Mean over the groups of their weighted mean over images: float64 [num_resamples].

    Args:
        values: for every group one value per image.
        indices: for every group the images' indices; an image has the same weight in all groups.
        num_resamples: bootstrap samples.

    The weights of the images are Dirichlet(1, .., 1): exponential ones, normalized.

    Source: Rubin 1981, "The Bayesian bootstrap".
    """
    images = np.unique(np.concatenate(indices))
    positions = [np.searchsorted(images, group) for group in indices]
    rng, means = np.random.default_rng(1), np.empty(num_resamples)
    for start in range(0, num_resamples, CHUNK):
        weights = rng.standard_exponential((CHUNK, len(images)))
        groups = [
            weights[:, position] @ value / weights[:, position].sum(1)
            for value, position in zip(values, positions, strict=True)
        ]
        means[start : start + CHUNK] = np.mean(groups, axis=0)
    return means


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


def overall_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several claims: reproduced if all are, not reproduced if one is not."""
    if "not reproduced" in verdicts:
        return "not reproduced"
    return "reproduced" if set(verdicts) == {"reproduced"} else "undecided"


def _effect(pair: Pair, scale: Scale) -> float:
    """Worse minus better, or the logarithm of worse divided by better."""
    better, worse = pair
    if scale == "ratio":
        return math.log(worse.value / better.value)
    return worse.value - better.value


def _image_noise(seeds: Sequence[Sequence[Pair]]) -> np.ndarray:
    """Deviation of the mean effect in each bootstrap sample of the images: float64 [R]."""
    pairs = [pair for of_seed in seeds for pair in of_seed]
    indices = [np.array(better.indices or worse.indices) for better, worse in pairs]
    if not all(len(group) for group in indices):
        return np.zeros(1)
    values = [
        worse.zero_one_loss(group) - better.zero_one_loss(group)
        for (better, worse), group in zip(pairs, indices, strict=True)
    ]
    mean = float(np.mean([value.mean() for value in values]))
    return np.asarray(bayesian_bootstrap(values, indices) - mean)
