"""The choice of a learning rate: a coarse grid until the error has turned, then a finer one.

The grid that a protocol gives is only its start. While the best rate is the lowest or highest that
was tried, the grid is extended on that side; then the rates halfway to both neighbors of the best
one are tried. The choice is the lowest point of a parabola through the best trial and its two
neighbors. In simulations it costs no runs and removes the bias of the grid's coarseness, which
would not shrink with more seeds (tests/experiments/test_coverage.py).

Pure functions of the trials that have ended, so that a search can be resumed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_EXTENSIONS = 4
"""Rates that are added to a grid on one side at most; with a factor of 3, a hundredfold."""
SIGNIFICANT_DIGITS = 3
"""Significant digits of a computed learning rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LRTrial:
    """A tuning run: one learning rate of the grid."""

    lr: float
    value: float
    """What the learning rate is chosen by; lower is better. The top-1 error after the last epoch on
    the tuning run's validation split, or the measure itself where that is one of training speed."""
    loss: float | None
    """The loss of the last epoch, on the same images, which decides between equal values; None if
    the run diverged."""
    is_censored: bool = False
    """Whether the run ended before it reached its target: the true value is at least `value`."""
    has_diverged: bool = False
    """Whether the loss became infinite or NaN, which is worse than any value."""

    @property
    def rank(self) -> tuple[bool, bool, float, float, float]:
        """The key to sort trials by, the best one first; ties go to the lower learning rate."""
        loss = math.inf if self.loss is None else self.loss
        return self.has_diverged, self.is_censored, self.value, loss, self.lr


def best_trial(trials: Sequence[LRTrial]) -> LRTrial:
    """The trial with the lowest value; ties go to the lowest loss."""
    return min(trials, key=lambda trial: trial.rank)


def choose_lr(trials: Sequence[LRTrial]) -> float:
    """The lowest point of the parabola through the best trial and its two neighbors.

    The values are taken over the logarithm of the learning rate. The lowest point is at most half
    the way to a neighbor. Where one is missing, censored or diverged, the best trial's rate is
    taken.
    """
    ordered = sorted(trials, key=lambda trial: trial.lr)
    place = ordered.index(best := best_trial(trials))
    around = ordered[max(place - 1, 0) : place + 2]
    if len(around) < 3 or any(trial.is_censored or trial.has_diverged for trial in around):
        return best.lr
    # y = a x + b x^2 with x = log(lr / best.lr) and y = value - best.value; the slopes y / x to the
    # neighbors are a + b x.
    below, _, above = (math.log(trial.lr / best.lr) for trial in around)
    slope_below = (around[0].value - best.value) / below
    slope_above = (around[2].value - best.value) / above
    b = (slope_above - slope_below) / (above - below)
    a = slope_above - b * above
    return _rounded(best.lr * math.exp(-a / (2 * b))) if b > 0 else best.lr


def is_at_edge(trials: Sequence[LRTrial]) -> bool:
    """Whether the best learning rate is the lowest or highest one, so that a better may be beyond.

    `next_lrs` ends there only after `MAX_EXTENSIONS`.
    """
    lrs = [trial.lr for trial in trials]
    return len(lrs) > 1 and best_trial(trials).lr in (min(lrs), max(lrs))


def next_lrs(grid: Sequence[float], trials: Sequence[LRTrial]) -> tuple[float, ...]:
    """The learning rates to try next; none when the best one is found.

    Args:
        grid: the learning rates to start with; of a single one there is nothing to choose.
        trials: all that have ended.
    """
    tried = {trial.lr for trial in trials}
    if len(grid) < 2:
        return ()
    if missing := tuple(lr for lr in grid if lr not in tried):
        return missing
    below, above = _extensions(grid)
    coarse = sorted(tried & {*grid, *below, *above})
    place = coarse.index(best_trial([trial for trial in trials if trial.lr in coarse]).lr)
    if place == 0 and (missing := tuple(lr for lr in below if lr not in tried)):
        return missing[:1]
    if place == len(coarse) - 1 and (missing := tuple(lr for lr in above if lr not in tried)):
        return missing[:1]
    around = coarse[max(place - 1, 0) : place + 2]
    halfway = [_rounded(math.sqrt(a * b)) for a, b in pairwise(around)]
    return tuple(lr for lr in halfway if lr not in tried)


def _extensions(grid: Sequence[float]) -> tuple[list[float], list[float]]:
    """The rates that may be added below and above, nearest first, by the grid's mean factor."""
    low, high = min(grid), max(grid)
    factor = (high / low) ** (1 / (len(grid) - 1))
    powers = [factor**i for i in range(1, MAX_EXTENSIONS + 1)]
    return [_rounded(low / p) for p in powers], [_rounded(high * p) for p in powers]


def _rounded(lr: float) -> float:
    return float(f"{lr:.{SIGNIFICANT_DIGITS}g}")
