"""The interval of a mean over a few seeds, each of which is itself a mean over many images.

A bootstrap over three seeds is too narrow: it never leaves the range of the three values. So a
Student-t term for the seeds is combined with a Bayesian bootstrap over the images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from alexnet.evaluation.intervals import CONFIDENCE_LEVEL

NUM_RESAMPLES = 2_000
"""Bootstrap samples of the images."""
NUM_SAMPLES = 400_000
"""Samples of the sum; with three seeds the ends are then accurate to about 1 % of the width."""
CHUNK = 50
"""Bootstrap samples that are computed together, which bounds the memory."""


def t_interval(
    effects: Sequence[float],
    noise: np.ndarray,
    num_samples: int = NUM_SAMPLES,
    level: float = CONFIDENCE_LEVEL,
) -> tuple[float, float]:
    """The lower and upper end of the interval of a mean.

    Args:
        effects: one per seed.
        noise: [R], deviation of the mean in each bootstrap sample of the images; zeros where the
            images are not resampled.
        num_samples: number of samples of the sum of both terms.
        level: the confidence level, between 0 and 1.
    """
    count, mean = len(effects), float(np.mean(effects))
    if count < 2:
        return mean, mean
    rng = np.random.default_rng(0)
    standard_error = float(np.std(effects, ddof=1)) / math.sqrt(count)
    samples = rng.choice(noise, num_samples)
    samples = samples + standard_error * rng.standard_t(count - 1, num_samples)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return mean + float(low), mean + float(high)


def bayesian_bootstrap(
    values: Sequence[np.ndarray],
    indices: Sequence[np.ndarray],
    num_resamples: int = NUM_RESAMPLES,
) -> np.ndarray:
    """Weighted mean over images of every group: float64 [groups, num_resamples].

    Args:
        values: one value per image for every group.
        indices: indices of every group's images; an image has the same weight in all groups.
        num_resamples: bootstrap samples.

    The weights of the images are Dirichlet(1, .., 1): exponential ones, normalized.

    Source: Rubin 1981, "The Bayesian bootstrap".
    """
    images = np.unique(np.concatenate(indices))
    positions = [np.searchsorted(images, group) for group in indices]
    rng, means = np.random.default_rng(1), np.empty((len(values), num_resamples))
    for start in range(0, num_resamples, CHUNK):
        weights = rng.standard_exponential((min(CHUNK, num_resamples - start), len(images)))
        groups = [
            weights[:, position] @ value / weights[:, position].sum(1)
            for value, position in zip(values, positions, strict=True)
        ]
        means[:, start : start + CHUNK] = groups
    return means
