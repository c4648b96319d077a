"""What `experiment run --dry-run` prints."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.config.recipe import Recipe
from alexnet.experiments.design import arm_differences
from alexnet.experiments.experiment import Arm
from alexnet.experiments.formatting import describe_setting
from alexnet.experiments.plan import Plan, count_images


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmPlan:
    """The runs of an arm."""

    name: str
    series: str
    """The name that arms of several sizes share; empty for an arm of one size."""
    differs: tuple[str, ...]
    """Differences from the base recipe, as flags and in words; empty if there are none."""
    shares_runs_of: str | None
    """The arm on whose networks it is evaluated; null where it trains its own."""
    num_tuning_runs: int
    """Estimated number of runs that choose the learning rate for every seed; a search may need
    more. 0 if another arm's learning rate is used or there is only one."""
    num_measured_runs: int
    """Number of measured runs, one per seed; 0 if the arm shares those of another arm."""
    epochs: int
    """Maximum epochs of a measured run."""
    num_train_images: int
    """Number of training images of a measured run."""
    num_test_images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentPlanOutput:
    """An experiment before it is run."""

    experiment: str
    protocol: str
    claim: str
    out: str
    """The folder that the experiment would write."""
    setting: str
    """Data, architecture and training options, in words."""
    num_runs: int
    """Estimated number of runs; a search for a learning rate may need more."""
    jobs: int
    """Number of runs at once."""
    minutes: float | None
    """Estimated minutes on this machine; null if they are not known."""
    learning_rates: tuple[float, ...]
    """The learning rates that tuning starts with; a single one is used without tuning."""
    seeds: tuple[int, ...]
    arms: tuple[ArmPlan, ...]
    recipe: Recipe
    """The base recipe, which all arms share."""


def plan_output(plan: Plan, out: str, jobs: int, minutes: float | None) -> ExperimentPlanOutput:
    """Make the output of a plan, with `jobs` runs at once and estimated minutes."""
    return ExperimentPlanOutput(
        experiment=plan.experiment.name,
        protocol=plan.protocol_name,
        claim=plan.experiment.claim,
        out=out,
        setting=describe_setting(plan),
        num_runs=plan.num_runs,
        jobs=jobs,
        minutes=None if minutes is None else round(minutes, 1),
        learning_rates=plan.protocol.lr_grid,
        seeds=tuple(plan.seeds),
        arms=tuple(_arm(plan, arm) for arm in plan.arms),
        recipe=plan.protocol.base,
    )


def _arm(plan: Plan, arm: Arm) -> ArmPlan:
    spec = next(spec for spec in plan.trainings if arm in spec.serves)
    is_trained = spec.arm == arm
    num_train, num_test = count_images(plan.recipe(arm, plan.lr_grid(arm)[0], 0))
    return ArmPlan(
        name=arm.name,
        series=arm.series,
        differs=arm_differences(plan, arm),
        shares_runs_of=None if is_trained else spec.arm.name,
        num_tuning_runs=plan.num_tuning_runs(arm) if arm in plan.tuned_arms else 0,
        num_measured_runs=len(plan.seeds_of_training(spec)) if is_trained else 0,
        epochs=plan.epochs(arm),
        num_train_images=num_train,
        num_test_images=num_test,
    )
