"""What an experiment found: `result.json`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict
from alexnet.errors import ConfigError, ModelFileError
from alexnet.experiments.experiment import Comparison, Measure, ProtocolName, Scale
from alexnet.experiments.formatting import setting
from alexnet.experiments.intervals import Interval, Verdict, effect_interval, overall, verdict
from alexnet.experiments.outcome import Outcome
from alexnet.experiments.plan import Plan
from alexnet.runtime.environment import Environment

RESULT = "result.json"
PICTURE = "plot.png"
REPORT = "report.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class RateTrial:
    """One rate of the grid, tried."""

    rate: float
    val_error: float
    """Of the last epoch, on pictures taken out of the training; 1 where it diverged."""
    val_loss: float
    """The same; decides between equal errors."""
    has_diverged: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmFinding:
    """What one arm gave."""

    name: str
    series: str
    at: int
    recipe: Recipe
    """Of the first seed's run; it re-creates the run."""
    trials: tuple[RateTrial, ...]
    """The grid; none where the rate was given or is another arm's."""
    is_at_edge: bool
    """Whether the chosen rate is the grid's lowest or highest, so that a better one may lie
    outside."""
    values: tuple[float, ...]
    """One a seed."""
    bounds: tuple[bool, ...]
    """True where the value is only a lower bound."""
    diverged: tuple[bool, ...]
    """True where the loss was not finite."""
    mean: float
    sd: float
    """Of the values; 0 for a single one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonFinding:
    """One comparison and its verdict."""

    name: str
    better: tuple[str, ...]
    worse: tuple[str, ...]
    scale: Scale
    at_least: float
    expected: float
    is_claim: bool
    interval: Interval
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Everything that was found, in the words and numbers of the time."""

    format: int = 1
    experiment: str
    protocol: ProtocolName
    claim: str
    source: str
    expected: str
    limits: str
    setting: str
    """The sizes of the runs, in words."""
    measure: Measure
    seeds: tuple[int, ...]
    left_out: tuple[str, ...]
    """Arms that the user left out."""
    arms: tuple[ArmFinding, ...]
    comparisons: tuple[ComparisonFinding, ...]
    verdict: Verdict
    training_seconds: float
    """Of all runs together."""
    environment: Environment

    def arm(self, name: str) -> ArmFinding:
        """The arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)


def summarize(
    plan: Plan,
    outcomes: Mapping[str, Sequence[Outcome]],
    recipes: Mapping[str, Recipe],
    trials: Mapping[str, tuple[RateTrial, ...]],
    training_seconds: float,
    environment: Environment,
) -> Findings:
    """The findings of a plan whose runs have ended.

    Args:
        plan: what was run.
        outcomes: for every arm one a seed, in the order of the seeds.
        recipes: for every arm that of the first seed.
        trials: for every tuned arm its grid.
        training_seconds: of all runs.
        environment: where they ran.
    """
    experiment = plan.experiment
    compared = tuple(_compared(comparison, plan, outcomes) for comparison in plan.comparisons)
    return Findings(
        experiment=experiment.name,
        protocol=plan.protocol_name,
        claim=experiment.claim,
        source=experiment.source,
        expected=experiment.expected,
        limits=experiment.limits,
        setting=setting(plan),
        measure=experiment.measure,
        seeds=tuple(plan.seeds),
        left_out=plan.without,
        arms=tuple(
            _arm_finding(plan, arm.name, outcomes[arm.name], recipes[arm.name], trials)
            for arm in plan.arms
        ),
        comparisons=compared,
        verdict=overall([one.verdict for one in compared if one.is_claim]),
        training_seconds=training_seconds,
        environment=environment,
    )


def _arm_finding(
    plan: Plan,
    name: str,
    outcomes: Sequence[Outcome],
    recipe: Recipe,
    trials: Mapping[str, tuple[RateTrial, ...]],
) -> ArmFinding:
    arm, grid, values = plan.experiment.arm(name), plan.protocol.rates, [o.value for o in outcomes]
    return ArmFinding(
        name=name,
        series=arm.series,
        at=arm.at,
        recipe=recipe,
        trials=trials.get(name, ()),
        is_at_edge=len(grid) > 1 and recipe.optimizer.lr in (min(grid), max(grid)),
        values=tuple(values),
        bounds=tuple(o.is_bound for o in outcomes),
        diverged=tuple(o.has_diverged for o in outcomes),
        mean=statistics.fmean(values),
        sd=statistics.stdev(values) if len(values) > 1 else 0.0,
    )


def _compared(
    comparison: Comparison, plan: Plan, outcomes: Mapping[str, Sequence[Outcome]]
) -> ComparisonFinding:
    pairs = list(zip(comparison.better, comparison.worse, strict=True))
    seeds = [
        [(outcomes[better][i], outcomes[worse][i]) for better, worse in pairs]
        for i in range(len(plan.seeds))
    ]
    interval = effect_interval(seeds, comparison.scale)
    return ComparisonFinding(
        name=comparison.name,
        better=comparison.better,
        worse=comparison.worse,
        scale=comparison.scale,
        at_least=comparison.at_least,
        expected=comparison.expected,
        is_claim=comparison.is_claim,
        interval=interval,
        verdict=verdict(interval, comparison, len(seeds)),
    )


def read_findings(folder: Path) -> Findings:
    """The findings in an experiment's folder.

    Raises:
        ModelFileError: it has none yet, or they are damaged or of another version.
    """
    path = folder / RESULT
    if not path.is_file():
        raise ModelFileError(
            f"{folder} holds no finished experiment: it has no {RESULT}; "
            "end it with the command that began it"
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return from_dict(Findings, plain, RESULT)
    except (OSError, ValueError, ConfigError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
