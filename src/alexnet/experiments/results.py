"""The result of an experiment: `result.json`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict
from alexnet.errors import ConfigError, ModelFileError
from alexnet.experiments.experiment import Arm, Comparison, Measure, ProtocolName, Scale
from alexnet.experiments.formatting import describe_setting
from alexnet.experiments.intervals import (
    Interval,
    Verdict,
    effect_interval,
    overall_verdict,
    verdict,
)
from alexnet.experiments.outcome import Outcome
from alexnet.experiments.plan import Plan
from alexnet.runtime.environment import Environment

FORMAT = 3
RESULT = "result.json"
PLOT = "plot.png"
REPORT = "report.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class LRTrial:
    """A tuning run: one learning rate of the grid."""

    lr: float
    val_error: float
    """Top-1 error after the last epoch on the tuning run's validation split; 1 if it diverged."""
    val_loss: float | None
    """The loss there, which decides between equal errors; None if it diverged."""
    has_diverged: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmResult:
    """What one arm measured."""

    name: str
    series: str
    images_per_class: int
    recipe: Recipe
    """Of the first seed's run; it re-creates the run."""
    trials: tuple[LRTrial, ...]
    """The tuning runs; empty where the learning rate is given or another arm's."""
    is_at_edge: bool
    """Whether the chosen learning rate is the lowest or highest of the grid, so that a better one
    may lie outside."""
    values: tuple[float, ...]
    """One per seed."""
    censored: tuple[bool, ...]
    """One per seed: whether the value is only a lower bound."""
    diverged: tuple[bool, ...]
    """One per seed: whether the loss became infinite or NaN."""
    mean: float
    std: float
    """Of the values, with n - 1; 0 for a single one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonResult:
    """One comparison and its verdict; see `Comparison`."""

    name: str
    better: tuple[str, ...]
    worse: tuple[str, ...]
    scale: Scale
    min_effect: float
    expected: float | None
    is_primary: bool
    interval: Interval
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentResult:
    """All that an experiment measured, with its texts as they were when it ran."""

    format: int = FORMAT
    experiment: str
    protocol: ProtocolName
    claim: str
    source: str
    expected: str
    limits: str
    setting: str
    """The size of the runs as text."""
    measure: Measure
    seeds: tuple[int, ...]
    excluded: tuple[str, ...]
    """Arms that the user excluded."""
    arms: tuple[ArmResult, ...]
    comparisons: tuple[ComparisonResult, ...]
    verdict: Verdict
    training_seconds: float
    """Of all runs together."""
    environment: Environment

    def arm(self, name: str) -> ArmResult:
        """The result of the arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)


def summarize(
    plan: Plan,
    outcomes: Mapping[str, Sequence[Outcome]],
    recipes: Mapping[str, Recipe],
    trials: Mapping[str, tuple[LRTrial, ...]],
    training_seconds: float,
    environment: Environment,
) -> ExperimentResult:
    """The result of a plan whose runs have ended.

    Args:
        plan: what was run.
        outcomes: for every arm one per seed, in the order of the seeds.
        recipes: for every arm the recipe of the first seed.
        trials: for every tuned arm its tuning runs.
        training_seconds: of all runs.
        environment: where they ran.
    """
    experiment = plan.experiment
    compared = tuple(_compare(comparison, plan, outcomes) for comparison in plan.comparisons)
    return ExperimentResult(
        experiment=experiment.name,
        protocol=plan.protocol_name,
        claim=experiment.claim,
        source=experiment.source,
        expected=experiment.expected,
        limits=experiment.limits,
        setting=describe_setting(plan),
        measure=experiment.measure,
        seeds=tuple(plan.seeds),
        excluded=plan.exclude,
        arms=tuple(_arm_result(plan, arm, outcomes, recipes, trials) for arm in plan.arms),
        comparisons=compared,
        verdict=overall_verdict([c.verdict for c in compared if c.is_primary]),
        training_seconds=training_seconds,
        environment=environment,
    )


def _arm_result(
    plan: Plan,
    arm: Arm,
    outcomes: Mapping[str, Sequence[Outcome]],
    recipes: Mapping[str, Recipe],
    trials: Mapping[str, tuple[LRTrial, ...]],
) -> ArmResult:
    own, recipe, lr_grid = outcomes[arm.name], recipes[arm.name], plan.protocol.lr_grid
    values = [outcome.value for outcome in own]
    return ArmResult(
        name=arm.name,
        series=arm.series,
        images_per_class=arm.images_per_class,
        recipe=recipe,
        trials=trials.get(arm.name, ()),
        is_at_edge=len(lr_grid) > 1 and recipe.optimizer.lr in (min(lr_grid), max(lr_grid)),
        values=tuple(values),
        censored=tuple(outcome.is_censored for outcome in own),
        diverged=tuple(outcome.has_diverged for outcome in own),
        mean=statistics.fmean(values),
        std=statistics.stdev(values) if len(values) > 1 else 0.0,
    )


def _compare(
    comparison: Comparison, plan: Plan, outcomes: Mapping[str, Sequence[Outcome]]
) -> ComparisonResult:
    pairs = list(zip(comparison.better, comparison.worse, strict=True))
    seeds = [
        [(outcomes[better][i], outcomes[worse][i]) for better, worse in pairs]
        for i in range(len(plan.seeds))
    ]
    interval = effect_interval(seeds, comparison.scale)
    return ComparisonResult(
        name=comparison.name,
        better=comparison.better,
        worse=comparison.worse,
        scale=comparison.scale,
        min_effect=comparison.min_effect,
        expected=comparison.expected,
        is_primary=comparison.is_primary,
        interval=interval,
        verdict=verdict(interval, comparison, len(seeds)),
    )


def read_result(folder: Path) -> ExperimentResult:
    """Read the result in an experiment's folder.

    Raises:
        ModelFileError: there is none yet, or it is damaged or of another format.
    """
    path = folder / RESULT
    if not path.is_file():
        raise ModelFileError(
            f"{folder} holds no finished experiment: it has no {RESULT}; "
            "finish it with the command that started it"
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain.get("format") == FORMAT:
            return from_dict(ExperimentResult, plain, RESULT)
    except (AttributeError, OSError, ValueError, ConfigError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
    raise ModelFileError(
        f"{path} has format {plain.get('format')} and this alexnet reads format {FORMAT}; "
        "run the experiment again into another folder"
    )
