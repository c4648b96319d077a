"""Numbers, bounds, durations and settings as text."""

from __future__ import annotations

from dataclasses import replace

from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.experiment import Arm, Experiment
from alexnet.experiments.formatting import (
    describe_setting,
    format_cost,
    format_effect,
    format_estimate,
    format_lrs,
    format_minutes,
    format_value,
)
from alexnet.experiments.intervals import Interval
from alexnet.experiments.plan import Plan


def test_a_bound_is_marked_as_one() -> None:
    interval = Interval(estimate=3.81, low=3.5, high=4.0)
    above, below = (
        replace(interval, is_unbounded_above=True),
        replace(interval, is_unbounded_below=True),
    )
    assert format_estimate(interval, "ratio") == "3.81 x"
    assert format_estimate(above, "ratio") == "at least 3.81 x"
    assert format_estimate(below, "ratio") == "at most 3.81 x"
    assert format_estimate(replace(above, is_unbounded_below=True), "ratio") == "perhaps 3.81 x"


def test_values_have_their_unit() -> None:
    assert format_value(0.1234, "test_error") == "12.34 %"
    assert format_value(6.17, "epochs_to_error") == "6.17"
    assert format_value(23.5, "epochs_to_error", censored=True) == "> 23.50"
    assert format_effect(-0.0112, "difference") == "-1.12 points"


def test_durations_are_minutes_or_hours() -> None:
    assert [format_minutes(value) for value in (0.0, 3.14, 12.6, 99.0, 120.0, 14400.0)] == [
        *("0.0 min", "3.1 min", "13 min", "99 min", "2.0 h", "10.0 days")
    ]


def test_a_cost_is_not_known_without_a_speed() -> None:
    assert format_cost(4.0) == "about 4.0 min here"
    assert format_cost(None) == "not measured here yet"


def test_learning_rates_of_seeds_are_a_range() -> None:
    assert format_lrs((0.01, 0.01)) == "0.01"
    assert format_lrs((0.01, 0.003, 0.03)) == "0.003 to 0.03"


def test_settings_in_one_sentence() -> None:
    full = Plan(experiment=EXPERIMENTS["relu-vs-tanh"], protocol_name="full")
    assert describe_setting(full) == (
        "cifar10, all training images per class; cifar_quick; "
        "15 to 100 epochs at most, until 25 % training error, batch size 128; "
        "learning rate tuned per arm and seed, starting with 0.003, 0.001, 0.01 "
        "(tanh: starting with 0.01, 0.003, 0.03; sigmoid: 0.03, not tuned); "
        "3 seeds per arm"
    )
    experiment = EXPERIMENTS["dropout"]
    protocol = replace(experiment.protocols["quick"], tuning_epochs=7, tuning_train_per_class=150)
    smaller = replace(experiment, protocols={"quick": protocol})
    assert "0.03, in runs of 7 epochs on 150 training images per class; " in describe_setting(
        Plan(experiment=smaller)
    )
    imagenet = Plan(experiment=EXPERIMENTS["dropout"], protocol_name="imagenet", num_seeds=5)
    assert describe_setting(imagenet).endswith("; learning rate 0.01; 5 seeds per arm")


def test_the_seeds_of_a_repeated_experiment_are_named(experiment: Experiment) -> None:
    protocol = replace(experiment.protocols["quick"], first_seed=100, arm_seeds={"none": 3})
    plan = Plan(experiment=replace(experiment, protocols={"quick": protocol}), num_seeds=4)
    assert describe_setting(plan).endswith("; 4 seeds per arm, 100 to 103, 3 of none")
    plan = replace(plan, num_seeds=3)
    assert describe_setting(plan).endswith("; 3 seeds per arm, 100 to 102")


def test_all_images_are_the_largest_of_several_sizes(experiment: Experiment) -> None:
    few = Arm(name="few", changes={"data_options.train_per_class": 5})
    plan = Plan(experiment=replace(experiment, arms=(*experiment.arms, few)))
    assert ", 5, all training images per class; " in describe_setting(plan)
