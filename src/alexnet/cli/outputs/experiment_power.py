"""What `experiment plan` prints."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alexnet.experiments.cost import SpeedOf, estimate_minutes
from alexnet.experiments.design import design_differences, design_of
from alexnet.experiments.experiment import Comparison, ProtocolName, Scale
from alexnet.experiments.intervals import Interval, Verdict
from alexnet.experiments.plan import DATASET_SIZES, Plan, count_images
from alexnet.experiments.power import SEED_COUNTS, Power, power_of
from alexnet.experiments.results import ComparisonResult, ExperimentResult


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierResult:
    """The finished runs that the expected intervals are computed from."""

    path: str
    protocol: ProtocolName
    num_seeds: int
    verdict: Verdict
    differences: tuple[str, ...]
    """The differences of the planned protocol from that of the earlier runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonPlan:
    """What is expected of one comparison."""

    name: str
    scale: Scale
    is_primary: bool
    min_effect: float
    """The smallest effect that counts."""
    measured: Interval | None
    """The interval that the earlier runs measured; null if they did not compare these arms."""
    power: Power | None
    """What is expected with each number of seeds; null if the earlier runs cannot tell it, since
    there is one seed, or a run ended before it reached its target."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentPowerOutput:
    """How many seeds an experiment needs, and what they cost."""

    experiment: str
    protocol: ProtocolName
    earlier: EarlierResult | None
    """The earlier runs; null if there are none."""
    seeds: tuple[int, ...]
    """The numbers of seeds that are planned for."""
    jobs: int
    """Number of runs at once."""
    minutes: tuple[float | None, ...]
    """Minutes on this machine for each number of seeds; null if its speed is not measured."""
    comparisons: tuple[ComparisonPlan, ...]


def power_output(
    plan: Plan, earlier: ExperimentResult | None, path: str, speed_of: SpeedOf, jobs: int
) -> ExperimentPowerOutput:
    """Make the output of a plan.

    Args:
        plan: the plan of the experiment.
        earlier: the earlier result; None if there is none.
        path: the path of the earlier result.
        speed_of: gives the training speeds of this machine.
        jobs: number of runs at once.
    """
    costs = (
        estimate_minutes(replace(plan, num_seeds=count), speed_of, jobs) for count in SEED_COUNTS
    )
    return ExperimentPowerOutput(
        experiment=plan.experiment.name,
        protocol=plan.protocol_name,
        earlier=_earlier(plan, earlier, path) if earlier else None,
        seeds=SEED_COUNTS,
        jobs=jobs,
        minutes=tuple(None if cost is None else round(cost, 1) for cost in costs),
        comparisons=tuple(_comparison(plan, one, earlier) for one in plan.comparisons),
    )


def _earlier(plan: Plan, found: ExperimentResult, path: str) -> EarlierResult:
    same_seeds = replace(plan, num_seeds=len(found.seeds))
    return EarlierResult(
        path=path,
        protocol=found.protocol,
        num_seeds=len(found.seeds),
        verdict=found.verdict,
        differences=design_differences(found.design, design_of(same_seeds)),
    )


def _comparison(
    plan: Plan, comparison: Comparison, earlier: ExperimentResult | None
) -> ComparisonPlan:
    found = _same_arms(comparison, earlier) if earlier else None
    power = None
    if found and earlier:
        power = power_of(found, comparison.min_effect, more_images(plan, earlier))
    return ComparisonPlan(
        name=comparison.name,
        scale=comparison.scale,
        is_primary=comparison.is_primary,
        min_effect=comparison.min_effect,
        measured=found.interval if found else None,
        power=power,
    )


def _same_arms(comparison: Comparison, earlier: ExperimentResult) -> ComparisonResult | None:
    """The earlier comparison of the same arms, or of some of them; None if there is none."""
    pairs = set(zip(comparison.better, comparison.worse, strict=True))
    for found in earlier.comparisons:
        if pairs & set(zip(found.better, found.worse, strict=True)):
            return found if found.scale == comparison.scale else None
    return None


def more_images(plan: Plan, earlier: ExperimentResult) -> float:
    """The planned number of evaluated images divided by the earlier one; 1 if it is not known."""
    base = plan.protocol.base
    if base.data not in DATASET_SIZES or earlier.design.recipe.data != base.data:
        return 1.0
    if earlier.measure != "train_error":
        return 1.0  # both are measured on all test images
    return count_images(base)[0] / count_images(earlier.design.recipe)[0]
