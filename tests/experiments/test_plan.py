"""The runs of an experiment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.config.recipe import DataOptions, Recipe
from alexnet.errors import ConfigError, UsageError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.cost import runs_of
from alexnet.experiments.experiment import Arm, Experiment
from alexnet.experiments.plan import TUNING_SEED, Plan, images_per_class, split_sizes, with_changes


def with_arms(experiment: Experiment, *arms: Arm) -> Plan:
    """A plan of the experiment with further arms."""
    return Plan(experiment=replace(experiment, arms=(*experiment.arms, *arms)))


def test_arms_that_only_evaluate_are_served_by_the_arm_that_trains(experiment: Experiment) -> None:
    plan = Plan(experiment=experiment)
    served = {spec.arm.name: [arm.name for arm in spec.serves] for spec in plan.trainings}
    assert served == {"dropout": ["dropout", "dropout-ten"], "none": ["none"]}
    assert [arm.name for arm in plan.lr_sources] == ["dropout", "none"]
    assert [arm.name for arm in plan.tuned_arms] == ["dropout"]
    assert plan.num_runs == 3 * (5 + 2)
    assert plan.training_of(experiment.arm("dropout-ten")) == plan.trainings[0]


def test_a_learning_rate_of_another_arm_is_not_tuned_again(experiment: Experiment) -> None:
    """That arm may only evaluate; then the learning rate is that of the arm which trains for it."""
    wide = Arm(name="wide", changes={"model.width": 0.1}, lr_from="dropout-ten")
    plan = with_arms(experiment, wide)
    spec = plan.trainings[-1]
    assert (spec.arm, spec.lr_source.name) == (wide, "dropout")
    assert wide not in plan.tuned_arms
    assert plan.num_runs == 3 * (5 + 3)


def test_without_that_other_arm_it_is_tuned_itself(experiment: Experiment) -> None:
    wide = Arm(name="wide", changes={"model.width": 0.1}, lr_from="none")
    plan = with_arms(experiment, wide)
    assert replace(plan, exclude=("none",), protocol_name="quick").tuned_arms[-1] == wide


def test_a_single_learning_rate_is_not_tuned(experiment: Experiment) -> None:
    plan = Plan(experiment=experiment, protocol_name="full", num_seeds=5)
    assert plan.tuned_arms == ()
    assert plan.num_runs == 2 * 5


def test_tuning_has_a_seed_and_a_validation_split_of_its_own(experiment: Experiment) -> None:
    plan = Plan(experiment=experiment)
    arm = plan.arms[0]
    recipe, tuning = plan.recipe(arm, 0.01, 2), plan.tuning_recipe(arm, 0.001, 2)
    assert (recipe.seed, recipe.optimizer.lr, recipe.data_options.val_fraction) == (2, 0.01, 0.0)
    assert (tuning.seed, tuning.optimizer.lr) == (TUNING_SEED + 2, 0.001)
    assert tuning.data_options.val_fraction == 0.4


def test_a_measure_of_speed_is_tuned_on_the_measured_runs_images() -> None:
    """No validation images, the same target, and no more epochs than can still be the best."""
    plan = Plan(experiment=EXPERIMENTS["relu-vs-tanh"])
    recipe, tuning = plan.recipe(plan.arms[0], 0.01, 0), plan.tuning_recipe(plan.arms[0], 0.01, 0)
    options = replace(recipe.data_options, test_per_class=1)
    assert tuning == replace(recipe, seed=TUNING_SEED, data_options=options, epochs=tuning.epochs)
    assert tuning.stopping.target_train_error is not None
    assert plan.tuning_recipe(plan.arms[0], 0.01, 0, max_epochs=2).epochs == 2
    assert plan.tuning_recipe(plan.arms[0], 0.01, 0, max_epochs=99).epochs == tuning.epochs


def test_an_arm_or_a_series_can_have_a_grid_of_its_own(experiment: Experiment) -> None:
    protocol = replace(
        experiment.protocols["quick"], arm_lr_grids={"none": (0.1, 0.3, 1.0), "s": (0.5, 0.7)}
    )
    of_series = Arm(name="x", series="s", changes={"model.dropout": 0.3})
    arms = (*experiment.arms, of_series)
    plan = Plan(experiment=replace(experiment, arms=arms, protocols={"quick": protocol}))
    assert [plan.lr_grid(arm)[0] for arm in plan.tuned_arms] == [0.001, 0.1, 0.5]
    assert [plan.num_tuning_runs(arm) for arm in plan.tuned_arms] == [15, 15, 15]


def test_an_excluded_arm_takes_its_comparisons_along(experiment: Experiment) -> None:
    plan = Plan(experiment=experiment, exclude=("dropout-ten",))
    assert [comparison.name for comparison in plan.comparisons] == ["dropout helps"]
    with pytest.raises(UsageError, match="did you mean none"):
        Plan(experiment=experiment, exclude=("non",))
    with pytest.raises(UsageError, match="nothing is left to compare"):
        Plan(experiment=experiment, exclude=("dropout",))


def test_a_series_is_excluded_whole_and_pairs_without_partner_are_dropped() -> None:
    small = EXPERIMENTS["small-data"]
    plan = Plan(experiment=small, protocol_name="full", exclude=("rbm", "dropout-10"))
    assert not any(arm.series == "rbm" for arm in plan.arms)
    pairs = {one.name: len(one.better) for one in plan.comparisons}
    assert pairs["dropout has a lower error than baseline"] == 2
    assert "rbm has a lower error than baseline" not in pairs


def test_sizes_that_an_experiment_does_not_have_are_rejected(experiment: Experiment) -> None:
    with pytest.raises(UsageError, match="no imagenet protocol; it has quick, full"):
        Plan(experiment=experiment, protocol_name="imagenet")
    with pytest.raises(UsageError, match="--seeds 0 must be at least 1"):
        Plan(experiment=experiment, num_seeds=0)
    with pytest.raises(UsageError, match="--seeds 1001 must be at most 1000"):
        Plan(experiment=experiment, num_seeds=1001)


def test_a_repeated_experiment_has_seeds_of_its_own(experiment: Experiment) -> None:
    """Those of its tuning runs differ from all of its measured runs' too."""
    protocol = replace(experiment.protocols["quick"], first_seed=100)
    plan = Plan(experiment=replace(experiment, protocols={"quick": protocol}), num_seeds=4)
    assert list(plan.seeds) == [100, 101, 102, 103]
    with pytest.raises(UsageError, match="--seeds 901 must be at most 900"):
        replace(plan, num_seeds=901)


def test_a_training_has_the_seeds_of_all_arms_that_it_serves(experiment: Experiment) -> None:
    wide = Arm(name="wide", changes={"model.width": 0.1}, lr_from="none")
    fewer = {"none": 3, "dropout": 4, "wide": 5}
    protocol = replace(experiment.protocols["quick"], num_seeds=6, arm_seeds=fewer)
    arms = (*experiment.arms, wide)
    plan = Plan(experiment=replace(experiment, arms=arms, protocols={"quick": protocol}))
    assert [len(plan.seeds_of(arm)) for arm in plan.arms] == [4, 6, 3, 5]
    assert [len(plan.seeds_of_training(spec)) for spec in plan.trainings] == [6, 3, 5]
    assert [len(plan.seeds_of_tuning(arm)) for arm in plan.lr_sources] == [6, 5]
    assert plan.num_runs == 6 + 3 + 5 + 5 * 6
    assert sum(count for _, _, count in runs_of(plan)) == plan.num_runs
    assert [len(replace(plan, num_seeds=4).seeds_of(arm)) for arm in plan.arms] == [4, 4, 3, 4]


def test_too_few_seeds_of_an_arm_are_rejected(experiment: Experiment) -> None:
    with pytest.raises(ConfigError, match="2 seeds give no verdict; use at least 3"):
        replace(experiment.protocols["quick"], arm_seeds={"none": 2})


def test_the_sizes_of_a_split_follow_the_test_fraction() -> None:
    half = Recipe(data="flowers17", data_options=DataOptions(test_fraction=0.5, test_per_class=5))
    assert split_sizes(half) == (40, 40)
    assert images_per_class(half) == (40, 5)
    assert split_sizes(Recipe(data="flowers17")) == (60, 20)


def test_changes_of_unknown_fields_are_rejected() -> None:
    with pytest.raises(ConfigError, match="drpout"):
        with_changes(Recipe(), Arm(name="x", changes={"model.drpout": 0.0}))
