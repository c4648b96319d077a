"""What `experiment list --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.experiments.cost import SpeedOf, estimate_minutes
from alexnet.experiments.experiment import Comparison, Experiment, Measure
from alexnet.experiments.formatting import describe_setting
from alexnet.experiments.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolOutput:
    """A size of an experiment's runs."""

    setting: str
    """Data, architecture and training options, in words."""
    num_runs: int
    minutes: float | None
    """Estimated minutes on this machine; null if its speed is not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentOutput:
    """A claim and the runs that test it."""

    name: str
    claim: str
    source: str
    """The authors of the claim, and where they make it."""
    expected: str
    """The result that the source reports."""
    limits: str
    """What the runs here can show and what they cannot."""
    measure: Measure
    arms: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    protocols: dict[str, ProtocolOutput]
    """The protocols by name: quick, full, and imagenet if the paper measured on ImageNet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentListOutput:
    """A list of experiments."""

    experiments: tuple[ExperimentOutput, ...]


def list_output(experiments: Sequence[Experiment], speed_of: SpeedOf) -> ExperimentListOutput:
    """Make the output of experiments."""
    found = (_experiment(one, speed_of) for one in experiments)
    return ExperimentListOutput(experiments=tuple(found))


def _experiment(one: Experiment, speed_of: SpeedOf) -> ExperimentOutput:
    plans = {name: Plan(experiment=one, protocol_name=name) for name in one.protocols}
    return ExperimentOutput(
        name=one.name,
        claim=one.claim,
        source=one.source,
        expected=one.expected,
        limits=one.limits,
        measure=one.measure,
        arms=tuple(arm.name for arm in one.arms),
        comparisons=one.comparisons,
        protocols={name: _protocol(plan, speed_of) for name, plan in plans.items()},
    )


def _protocol(plan: Plan, speed_of: SpeedOf) -> ProtocolOutput:
    minutes = estimate_minutes(plan, speed_of)
    return ProtocolOutput(
        setting=describe_setting(plan),
        num_runs=plan.num_runs,
        minutes=None if minutes is None else round(minutes, 1),
    )
