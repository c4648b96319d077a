"""Intervals of effects, straight from outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet.experiments.experiment import Scale
from alexnet.experiments.intervals import Interval, Pair, image_noise, interval_of, seed_effects


def effect_interval(seeds: Sequence[Sequence[Pair]], scale: Scale) -> Interval:
    """The 95 % confidence interval of an effect; `seeds` as in `seed_effects`."""
    return interval_of(seed_effects(seeds, scale), image_noise(seeds, scale), seeds, scale)
