"""How many seeds an experiment needs: by hand, and against intervals of simulated experiments."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from alexnet.evaluation.seeds_and_images import bayesian_bootstrap, t_interval
from alexnet.experiments.intervals import Interval
from alexnet.experiments.power import (
    SEED_COUNTS,
    Noise,
    describe_power,
    gives_verdict,
    half_width,
    noise_of,
    power_of,
    seeds_needed,
)
from alexnet.experiments.results import ComparisonResult, ExperimentResult
from support.slow import first_fast

ONLY_SEEDS = Noise(seed_std=0.01, image_std=0.0, shared_image_std=0.0)


def simulated_half_width(num_seeds: int, noise: Noise, num_images: int = 100) -> float:
    """Mean half-width of the intervals of simulated experiments with this noise."""
    rng, widths = np.random.default_rng(5), []
    own = math.sqrt(noise.image_std**2 - noise.shared_image_std**2)
    apart = math.sqrt(noise.seed_std**2 - own**2)
    scale = math.sqrt(num_images)
    for _ in range(400):
        shared = rng.normal(0, noise.shared_image_std * scale, num_images)
        values = [
            rng.normal(0, apart) + shared + rng.normal(0, own * scale, num_images)
            for _ in range(num_seeds)
        ]
        effects = [float(value.mean()) for value in values]
        indices = [np.arange(num_images)] * num_seeds
        means = bayesian_bootstrap(values, indices, num_resamples=50)
        low, high = t_interval(effects, means.mean(0) - np.mean(effects), num_samples=2_000)
        widths.append((high - low) / 2)
    return float(np.mean(widths))


@pytest.mark.parametrize("num_seeds", first_fast([3, 4, 8]))
@pytest.mark.parametrize(
    "noise",
    first_fast(
        [
            Noise(seed_std=0.02, image_std=0.002, shared_image_std=0.0),
            Noise(seed_std=0.02, image_std=0.012, shared_image_std=0.01),
            Noise(seed_std=0.011, image_std=0.03, shared_image_std=0.029),
        ]
    ),
)
def test_the_expected_half_width_is_the_mean_of_real_intervals(
    num_seeds: int, noise: Noise
) -> None:
    expected = half_width(noise, num_seeds)
    assert expected == pytest.approx(simulated_half_width(num_seeds, noise), rel=0.06)


def test_half_widths_by_hand() -> None:
    """t(2) is 4.303 and the expected standard deviation of three values .886 of the true one."""
    assert half_width(ONLY_SEEDS, 3) == pytest.approx(4.303 * 0.886 * 0.01 / 3**0.5, rel=0.002)
    assert half_width(Noise(seed_std=0.0, image_std=0.0, shared_image_std=0.0), 3) == 0
    only_images = Noise(seed_std=0.0, image_std=0.05, shared_image_std=0.04)
    assert half_width(only_images, 9) == pytest.approx(
        1.96 * math.sqrt(0.04**2 + 0.03**2 / 9), rel=0.002
    )


def test_the_fewest_seeds_are_found_and_images_may_prevent_them() -> None:
    needed = seeds_needed(ONLY_SEEDS, 0.01)
    assert needed is not None
    assert half_width(ONLY_SEEDS, needed) < 0.01 <= half_width(ONLY_SEEDS, needed - 1)
    assert seeds_needed(ONLY_SEEDS, 1.0) == 3
    images = Noise(seed_std=0.001, image_std=0.01, shared_image_std=0.01)
    assert seeds_needed(images, 0.019) is None


@pytest.mark.parametrize(("effect", "smallest"), [(0.01, 0.002), (-0.004, 0.005), (0.012, 0.008)])
def test_the_seeds_for_a_verdict_give_it_in_about_80_percent_of_simulated_experiments(
    effect: float, smallest: float
) -> None:
    def rate(num_seeds: int) -> float:
        rng, found = np.random.default_rng(3), []
        for _ in range(1_000):
            values = rng.normal(effect, ONLY_SEEDS.seed_std, num_seeds).tolist()
            low, high = t_interval(values, np.zeros(50), num_samples=400)
            is_reproduced = low > 0 and np.mean(values) >= smallest
            found.append(is_reproduced if effect >= smallest else high < smallest)
        return float(np.mean(found))

    enough = next(n for n in range(3, 100) if gives_verdict(ONLY_SEEDS, n, effect, smallest))
    assert 0.76 < rate(enough) < 0.92
    assert rate(enough // 2) < 0.62


def test_an_effect_that_barely_counts_is_never_safe() -> None:
    assert not gives_verdict(ONLY_SEEDS, 1_000, 0.01, 0.01)


def test_where_no_number_of_seeds_is_enough_it_is_said(tiny_result: ExperimentResult) -> None:
    """The images' noise leaves an interval that is too wide, however many seeds there are."""
    interval = Interval(estimate=0.0475, low=0.015, high=0.08)
    found = measured(
        tiny_result,
        min_effect=0.05,
        interval=interval,
        effects=(0.04, 0.05, 0.0525),
        image_std=0.009,
        shared_image_std=0.008,
    )
    power = power_of(found)
    assert power is not None
    assert power.seeds_if_as_measured is None
    assert power.is_undecidable
    assert "no number of seeds gives a verdict in 80 %" in describe_power(power, "difference")
    sharper = power_of(replace(found, shared_image_std=0.0, image_std=0.0))
    assert sharper is not None
    assert not sharper.is_undecidable


def measured(result: ExperimentResult, **changes: object) -> ComparisonResult:
    return replace(result.comparisons[0], **changes)  # type: ignore[arg-type]


def test_a_ratio_is_planned_on_its_logarithm(tiny_result: ExperimentResult) -> None:
    ratios = (4.0, 6.0, 9.0)
    interval = Interval(estimate=6.0, low=2.2, high=16.4)
    found = measured(
        tiny_result, scale="ratio", min_effect=2.0, effects=ratios, interval=interval, image_std=0.0
    )
    power = power_of(replace(found, shared_image_std=0.0))
    assert power is not None
    assert power.smallest == pytest.approx(math.log(2))
    assert power.noise.seed_std == pytest.approx(math.log(1.5) / 0.886, rel=0.01)
    assert power.seeds_if_as_measured is not None
    assert power.seeds_needed is not None
    assert power.seeds_if_as_measured <= power.seeds_needed
    assert len(power.half_widths) == len(SEED_COUNTS)


def test_bounds_and_single_seeds_tell_no_spread(tiny_result: ExperimentResult) -> None:
    one = tiny_result.comparisons[0]
    bound = replace(one.interval, is_unbounded_above=True)
    assert power_of(measured(tiny_result, interval=bound)) is None
    assert power_of(measured(tiny_result, effects=(0.1,))) is None
    assert power_of(one) is not None


def test_four_times_the_images_halve_their_noise_alone(tiny_result: ExperimentResult) -> None:
    found = measured(tiny_result, effects=(0.1, 0.2, 0.3), image_std=0.05, shared_image_std=0.03)
    noise = noise_of(found, more_images=4, factor=1)
    assert noise.image_std == pytest.approx(0.025)
    assert noise.shared_image_std == pytest.approx(0.015)
    assert noise.seed_std**2 == pytest.approx(0.1**2 - 0.04**2 + 0.02**2)


def test_the_upper_bound_needs_no_fewer_seeds(tiny_result: ExperimentResult) -> None:
    found = measured(tiny_result, effects=(0.1, 0.2, 0.3), image_std=0.0, shared_image_std=0.0)
    power = power_of(found, min_effect=0.05)
    assert power is not None
    assert power.seeds_needed is not None
    assert power.seeds_needed_at_most is not None
    assert 3 < power.seeds_needed < power.seeds_needed_at_most
