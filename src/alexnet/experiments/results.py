"""The result of an experiment: `result.json`."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from alexnet.config.serialization import from_dict
from alexnet.errors import ConfigError, ModelFileError
from alexnet.evaluation.intervals import CONFIDENCE_LEVEL
from alexnet.experiments.design import Design, arm_differences, design_of
from alexnet.experiments.experiment import Arm, Comparison, Measure, ProtocolName, Scale
from alexnet.experiments.formatting import describe_setting
from alexnet.experiments.intervals import (
    Interval,
    Verdict,
    image_noise,
    interval_of,
    overall_verdict,
    seed_effects,
    shared_std,
    simultaneous_level,
    verdict,
)
from alexnet.experiments.outcome import Outcome
from alexnet.experiments.plan import Plan
from alexnet.experiments.tuning import LRTrial, is_at_edge
from alexnet.runtime.environment import Environment

FORMAT = 5
RESULT = "result.json"
PLOT = "plot.png"
REPORT = "report.md"

Trials: TypeAlias = Mapping[str, Sequence[tuple[LRTrial, ...]]]
"""The tuning runs of every tuned arm, for each seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmResult:
    """What one arm measured."""

    name: str
    series: str
    images_per_class: int
    differs: tuple[str, ...]
    """What differs from the base recipe, as flags and in words; empty if nothing."""
    lrs: tuple[float, ...]
    """The learning rates of the runs, one per seed."""
    trials: tuple[tuple[LRTrial, ...], ...]
    """The tuning runs of every seed; empty where the learning rate is given or another arm's."""
    at_edge: tuple[bool, ...]
    """One per seed: whether the learning rate is the lowest or highest of all that were tried after
    as many extensions of the grid as are allowed, so that a better one may lie outside."""
    values: tuple[float, ...]
    """The measured values, one per seed."""
    censored: tuple[bool, ...]
    """One per seed: whether the value is only a lower bound."""
    diverged: tuple[bool, ...]
    """One per seed: whether the loss became infinite or NaN."""
    mean: float
    std: float
    """Standard deviation of the values, with n - 1; 0 for a single one."""

    @property
    def is_at_edge(self) -> bool:
        """Whether the learning rate of any seed is at an edge; see `at_edge`."""
        return any(self.at_edge)


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
    simultaneous: Interval
    """The interval at `simultaneous_level`, by which a claim of several primary comparisons is
    refuted. For a secondary comparison, and for a single primary one, it is the 95 % interval."""
    effects: tuple[float, ...]
    """The effects, one per seed, in the scale of the interval."""
    image_std: float
    """Standard deviation of a seed's effect over other images; 0 where no images are resampled."""
    shared_image_std: float
    """The part of `image_std` that all seeds share, so that more seeds do not lower it."""
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A machine on which runs of an experiment ran."""

    environment: Environment
    num_runs: int


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
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
    """Training time of all runs together."""
    environment: Environment
    """The environment in which most of the runs ran."""
    design: Design
    """The protocol that was run."""
    other_machines: tuple[Machine, ...] = ()
    """The machines of the other runs, if the experiment was resumed elsewhere; most runs first."""

    def arm(self, name: str) -> ArmResult:
        """The result of the arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)

    def __repr__(self) -> str:
        seeds = f"{len(self.seeds)} seeds"
        return f"ExperimentResult({self.experiment!r}, {self.protocol}, {seeds}, {self.verdict})"

    def _repr_html_(self) -> str:
        """The claim, the effects and the verdict, for notebooks."""
        from alexnet.experiments.html import result_html

        return result_html(self)


def summarize(
    plan: Plan,
    outcomes: Mapping[str, Sequence[Outcome]],
    lrs: Mapping[str, Sequence[float]],
    trials: Trials,
    training_seconds: float,
    machines: Sequence[Machine],
) -> ExperimentResult:
    """The result of a plan whose runs have ended.

    Args:
        plan: what was run.
        outcomes: outcomes of every arm, one per seed, in the order of the seeds.
        lrs: learning rates of every arm's runs, in the order of the seeds.
        trials: tuning runs of every tuned arm, for each seed.
        training_seconds: training time of all runs.
        machines: the machines that the runs ran on, that of most runs first.
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
        arms=tuple(_arm_result(plan, arm, outcomes, lrs, trials) for arm in plan.arms),
        comparisons=compared,
        verdict=_overall(compared, plan),
        training_seconds=training_seconds,
        environment=machines[0].environment,
        design=design_of(plan),
        other_machines=tuple(machines[1:]),
    )


def _overall(compared: Sequence[ComparisonResult], plan: Plan) -> Verdict:
    primary = [
        (found, claimed)
        for found, claimed in zip(compared, plan.comparisons, strict=True)
        if found.is_primary
    ]
    return overall_verdict(
        [found.verdict for found, _ in primary],
        [verdict(found.simultaneous, claimed, len(found.effects)) for found, claimed in primary],
    )


def _arm_result(
    plan: Plan,
    arm: Arm,
    outcomes: Mapping[str, Sequence[Outcome]],
    lrs: Mapping[str, Sequence[float]],
    trials: Trials,
) -> ArmResult:
    own, source = outcomes[arm.name], plan.training_of(arm).lr_source.name
    values = [outcome.value for outcome in own]
    return ArmResult(
        name=arm.name,
        series=arm.series,
        images_per_class=arm.images_per_class,
        differs=arm_differences(plan, arm),
        lrs=tuple(lrs[arm.name]),
        trials=tuple(trials.get(arm.name, ())),
        at_edge=tuple(map(is_at_edge, trials.get(source, ())[: len(own)])),
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
        for i in range(min(len(outcomes[name]) for pair in pairs for name in pair))
    ]
    effects = seed_effects(seeds, comparison.scale)
    noise = image_noise(seeds, comparison.scale)
    num_claims = sum(one.is_primary for one in plan.comparisons) if comparison.is_primary else 1
    interval, simultaneous = (
        interval_of(effects, noise, seeds, comparison.scale, level)
        for level in (CONFIDENCE_LEVEL, simultaneous_level(num_claims))
    )
    return ComparisonResult(
        name=comparison.name,
        better=comparison.better,
        worse=comparison.worse,
        scale=comparison.scale,
        min_effect=comparison.min_effect,
        expected=comparison.expected,
        is_primary=comparison.is_primary,
        interval=interval,
        simultaneous=simultaneous,
        effects=tuple(math.exp(e) if comparison.scale == "ratio" else e for e in effects),
        image_std=math.sqrt(float(np.mean(np.var(noise, axis=1)))),
        shared_image_std=shared_std(noise),
        verdict=verdict(interval, comparison, len(seeds)),
    )


def has_result(folder: Path) -> bool:
    """Whether an experiment's folder is finished."""
    return (folder / RESULT).is_file()


def read_result(folder: Path) -> ExperimentResult:
    """Read the result in an experiment's folder.

    Raises:
        ModelFileError: there is none yet, or it is damaged or of another format.
    """
    if not has_result(folder):
        raise ModelFileError(
            f"{folder} holds no finished experiment: it has no {RESULT}; "
            "finish it with the command that started it"
        )
    return read_result_file(folder / RESULT)


def read_result_file(path: Path) -> ExperimentResult:
    """Read a result.

    Raises:
        ModelFileError: it is damaged or of another format.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain.get("format") == FORMAT:
            return from_dict(ExperimentResult, plain, path.name)
    except (AttributeError, OSError, ValueError, ConfigError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error
    raise ModelFileError(
        f"{path} has format {plain.get('format')} and this alexnet reads format {FORMAT}; "
        "run the experiment again into another folder"
    )
