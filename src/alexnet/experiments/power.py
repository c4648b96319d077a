"""How many seeds an experiment needs: the expected half-width of its 95 % intervals.

It is computed from the runs that exist: the spread of the effect between their seeds, and the noise
of their images. An interval of n seeds is about as wide as

    effect of a seed / sqrt(n), by Student's t with n - 1 degrees of freedom,  plus  images' noise

(`seeds_and_images.t_interval`). Of the images' noise a part is the same for all seeds, since all
are evaluated on the same images; no number of seeds makes an interval narrower than that part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, stdev

import numpy as np

from alexnet.evaluation.intervals import CONFIDENCE_LEVEL
from alexnet.experiments.experiment import MIN_SEEDS, Scale
from alexnet.experiments.formatting import format_half_width
from alexnet.experiments.results import ComparisonResult

SEED_COUNTS = (3, 4, 5, 6, 8, 10, 15, 20)
"""The numbers of seeds that are planned for."""
MAX_SEEDS = 1_000
"""Largest number of seeds that is considered."""
Z = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2)
POWER = 0.8
"""Probability of a verdict from seeds that are said to give one, if the effect is as measured."""
SURE = 0.8
"""Confidence of the upper bound of a spread."""
NUM_VALUES = 160
"""Values that stand for a chi-square distribution; half-widths are then accurate to .1 %."""
BISECTIONS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """The noise of an effect, in the unit of the effect; for a ratio, of its logarithm."""

    seed_std: float
    """Standard deviation of a seed's effect, its images' noise included."""
    image_std: float
    """Standard deviation of a seed's effect over other images."""
    shared_image_std: float
    """The part of `image_std` that is the same for all seeds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Power:
    """What is expected of a comparison with other numbers of seeds.

    Numbers of seeds are None where even 1,000 are too few.
    """

    noise: Noise
    smallest: float
    """The smallest effect that counts, as a distance from no effect; for a ratio its logarithm."""
    half_widths: tuple[float, ...]
    """Half-widths of the 95 % interval, one for each of `SEED_COUNTS`; for a ratio, of its
    logarithm."""
    seeds_needed: int | None
    """The fewest seeds, three or more, with a half-width below the effect that counts."""
    seeds_needed_at_most: int | None
    """`seeds_needed` for a spread at the upper end of what the runs allow, which is exceeded in one
    case of five."""
    seeds_if_as_measured: int | None
    """The fewest seeds that give a verdict in 80 % of the cases if the effect is as large as it was
    measured."""
    num_seeds: int
    """The seeds that were measured."""
    is_undecidable: bool
    """Whether no number of seeds gives a verdict in 80 % of the cases if the effect is as measured:
    it is too close to what counts, or the noise of the images, which all seeds share, is too large.
    """


def power_of(
    found: ComparisonResult, min_effect: float | None = None, more_images: float = 1.0
) -> Power | None:
    """What is expected of a comparison, from the seeds that were measured.

    Args:
        found: the comparison as measured.
        min_effect: the effect that counts in the next runs; None: as in these.
        more_images: how many times as many images the next runs are evaluated on.

    None for fewer than two seeds, and where a run ended before it reached its target: its effect
    is only a bound, and the spread of bounds says nothing.
    """
    interval = found.interval
    if len(found.effects) < 2 or interval.is_unbounded_below or interval.is_unbounded_above:
        return None
    smallest, effect = (
        math.log(value) if found.scale == "ratio" else value
        for value in (min_effect or found.min_effect, interval.estimate)
    )
    noise, upper = (noise_of(found, more_images, factor) for factor in spread_factors(found))
    return Power(
        noise=noise,
        smallest=smallest,
        half_widths=tuple(half_width(noise, count) for count in SEED_COUNTS),
        seeds_needed=seeds_needed(noise, smallest),
        seeds_needed_at_most=seeds_needed(upper, smallest),
        seeds_if_as_measured=_fewest(lambda count: gives_verdict(noise, count, effect, smallest)),
        num_seeds=len(found.effects),
        is_undecidable=not is_told(
            effect, smallest, noise.shared_image_std, Z * noise.shared_image_std
        ),
    )


def describe_power(power: Power, scale: Scale) -> str:
    """A sentence on how many seeds give a narrow interval, and how many probably a verdict."""
    often = f"in {100 * POWER:.0f} % of the cases if the effect is as measured"
    last = f"{_seeds_for_a_verdict(power)} a verdict {often}"
    unit = "" if scale == "ratio" else " points"
    narrow = f"an interval of +-{format_half_width(power.smallest, scale)}{unit} or less"
    if power.seeds_needed is None:
        left = Z * power.noise.shared_image_std
        if left < power.smallest:
            return f"over {MAX_SEEDS:,} seeds give {narrow}; {last}."
        images = format_half_width(left, scale)
        return (
            f"no number of seeds gives {narrow}, since the images, the same in every run, leave "
            f"+-{images}{unit}; {last}."
        )
    if power.seeds_needed <= power.num_seeds:
        return f"{power.num_seeds} seeds are enough for {narrow}; {last}."
    most = power.seeds_needed_at_most or f"over {MAX_SEEDS:,}"
    return (
        f"{power.seeds_needed} seeds give {narrow} ({most} with the largest spread that these runs "
        f"allow); {last}."
    )


def _seeds_for_a_verdict(power: Power) -> str:
    if power.seeds_if_as_measured:
        return f"{power.seeds_if_as_measured} seeds give"
    return "no number of seeds gives" if power.is_undecidable else f"over {MAX_SEEDS:,} seeds give"


def spread_factors(found: ComparisonResult) -> tuple[float, float]:
    """Factors on the standard deviation of the seeds: to be unbiased, and to be an upper bound.

    The bound has a confidence of `SURE`.
    """
    count = len(found.effects)
    return 1 / _expected_std(count), math.sqrt((count - 1) / _low_chi_square(count - 1))


def noise_of(found: ComparisonResult, more_images: float, factor: float) -> Noise:
    """The noise of a comparison's next runs.

    The images' noise falls with the root of their number; what remains of the spread between seeds
    does not.
    """
    effects = [math.log(e) for e in found.effects] if found.scale == "ratio" else found.effects
    own = max(0.0, found.image_std**2 - found.shared_image_std**2)
    apart = max(0.0, (stdev(effects) * factor) ** 2 - own)
    return Noise(
        seed_std=math.sqrt(apart + own / more_images),
        image_std=found.image_std / math.sqrt(more_images),
        shared_image_std=found.shared_image_std / math.sqrt(more_images),
    )


def half_width(noise: Noise, num_seeds: int) -> float:
    """The expected half-width of the 95 % interval of `num_seeds` seeds, two or more.

    Student's t is a normal value whose variance is random, as that of the images' term is not, so
    their sum is a mixture of normal distributions.
    """
    own = max(0.0, noise.image_std**2 - noise.shared_image_std**2)
    of_images = noise.shared_image_std**2 + own / num_seeds
    of_seeds = (_expected_std(num_seeds) * noise.seed_std) ** 2 / num_seeds
    degrees = num_seeds - 1
    values, weights = _chi_square(degrees)
    stds = np.sqrt(of_images + of_seeds * degrees / values)
    low, high = 0.0, 10 * float(stds.max())
    if not high:
        return 0.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        inside = [math.erf(ratio) for ratio in middle / (math.sqrt(2) * stds)]
        low, high = (middle, high) if weights @ inside < CONFIDENCE_LEVEL else (low, middle)
    return high


def seeds_needed(noise: Noise, smallest: float) -> int | None:
    """The fewest seeds, three or more, whose half-width is below `smallest`; None: over 1,000."""
    return _fewest(lambda count: half_width(noise, count) < smallest)


def gives_verdict(noise: Noise, num_seeds: int, effect: float, smallest: float) -> bool:
    """Whether `num_seeds` seeds give a verdict in 80 % of the cases or more.

    An effect that counts is reproduced if its interval lies above 0 and its estimate is at least
    `smallest`; a smaller one is not reproduced if its interval lies below `smallest`. The estimates
    are normal around the effect, and the interval has its expected width.
    """
    return is_told(effect, smallest, standard_error(noise, num_seeds), half_width(noise, num_seeds))


def is_told(effect: float, smallest: float, error: float, width: float) -> bool:
    """Whether the estimate gives a verdict in 80 % of the cases or more; see `gives_verdict`.

    Args:
        effect: the true effect.
        smallest: the smallest effect that counts.
        error: the standard error of the estimate.
        width: the half-width of its interval.
    """
    off = NormalDist().inv_cdf(POWER) * error
    if effect < smallest:
        return effect + off + width < smallest
    return effect - off - width > 0 and effect - off > smallest


def standard_error(noise: Noise, num_seeds: int) -> float:
    """The standard deviation of the estimate from `num_seeds` seeds."""
    return math.sqrt(noise.shared_image_std**2 + noise.seed_std**2 / num_seeds)


def _fewest(is_enough: Callable[[int], bool]) -> int | None:
    """The fewest seeds, three or more, that are enough; None: over 1,000. More are enough, too."""
    if not is_enough(MAX_SEEDS):
        return None
    low, high = MIN_SEEDS - 1, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _expected_std(count: int) -> float:
    """Expected sample standard deviation of `count` normal values of standard deviation 1."""
    ratio = math.lgamma(count / 2) - math.lgamma((count - 1) / 2)
    return math.sqrt(2 / (count - 1)) * math.exp(ratio)


@cache
def _chi_square(degrees: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of the chi-square distribution and their probabilities, which sum to 1.

    They are evenly spaced on a logarithmic scale, on which the density is smooth.
    """
    width = math.sqrt(2 / degrees)
    logs = math.log(degrees) + width * np.linspace(-14, 6, NUM_VALUES)
    values = np.exp(logs)
    log_density = degrees / 2 * logs - values / 2
    weights = np.exp(log_density - log_density.max())
    return values, weights / weights.sum()


def _low_chi_square(degrees: int) -> float:
    """The number that a chi-square value exceeds with the probability `SURE`."""
    values, weights = _chi_square(degrees)
    below = np.cumsum(weights) - weights / 2
    return math.exp(float(np.interp(1 - SURE, below, np.log(values))))
