"""Values that cannot be an experiment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alexnet.config.recipe import LRSchedule, Recipe
from alexnet.errors import ConfigError
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol


def test_values_that_cannot_be_an_experiment_are_rejected(experiment: Experiment) -> None:
    typo = Comparison(name="x", better=("dropuot",), worse=("dropout",), min_effect=0.1)
    with pytest.raises(ConfigError, match="dropuot"):
        replace(experiment, comparisons=(typo,))
    with pytest.raises(ConfigError, match="two arms"):
        replace(experiment, arms=(*experiment.arms, experiment.arms[0]))


def test_comparisons_are_of_pairs_and_have_an_effect() -> None:
    with pytest.raises(ConfigError, match="not pairs"):
        Comparison(name="x", better=("a", "b"), worse=("c",), min_effect=0.1)
    with pytest.raises(ConfigError, match="not pairs"):
        Comparison(name="x", better=(), worse=(), min_effect=0.1)
    with pytest.raises(ConfigError, match="no effect"):
        Comparison(name="x", better=("a",), worse=("b",), min_effect=1.0, scale="ratio")


def test_protocols_have_three_seeds_and_a_grid() -> None:
    with pytest.raises(ConfigError, match="no verdict"):
        Protocol(base=Recipe(), lr_grid=(0.1,), num_seeds=2)
    for grid in ((), (0.1, 0.1), (0.0, 0.1)):
        with pytest.raises(ConfigError, match="no grid of learning rates"):
            Protocol(base=Recipe(), lr_grid=grid)


def test_a_grid_needs_epochs_to_tune_except_for_measures_of_speed(experiment: Experiment) -> None:
    quick = Protocol(base=Recipe(), lr_grid=(0.1, 0.2))
    with pytest.raises(ConfigError, match=r"tiny, quick: a grid .* needs tuning_epochs"):
        replace(experiment, protocols={"quick": quick})
    of_arm = Protocol(base=Recipe(), lr_grid=(0.1,), arm_lr_grids={"none": (0.1, 0.2)})
    with pytest.raises(ConfigError, match="needs tuning_epochs"):
        replace(experiment, protocols={"quick": of_arm})
    replace(experiment, protocols={"quick": quick}, measure="early_train_error")


def test_epochs_to_an_error_are_not_measured_with_a_schedule_that_depends_on_them(
    experiment: Experiment,
) -> None:
    cosine = Recipe(schedule=LRSchedule(schedule="cosine"))
    quick = Protocol(base=cosine, lr_grid=(0.1,))
    with pytest.raises(ConfigError, match="cosine"):
        replace(experiment, protocols={"quick": quick}, measure="epochs_to_error")


def test_arms_train_alike_if_changes_and_initial_weights_are_equal() -> None:
    arm = Arm(name="a", changes={"model.dropout": 0.0})
    assert arm.trains_as(Arm(name="b", changes={"model.dropout": 0.0}, crops=10))
    assert not arm.trains_as(Arm(name="b", changes={"model.dropout": 0.5}))
    assert not arm.trains_as(replace(arm, init_from="rbm"))


@pytest.mark.parametrize(
    "options",
    [
        {"arms": ("nine",)},
        {"arm_seeds": {"nine": 3}},
        {"arm_epochs": {"nine": 3}},
        {"arm_lr_grids": {"nine": (0.1,)}},
    ],
)
def test_a_protocol_speaks_of_arms_that_are_there(
    experiment: Experiment, options: dict[str, Any]
) -> None:
    protocol = replace(experiment.protocols["full"], **options)
    with pytest.raises(ConfigError, match=r"full: \['nine'\] are no arms"):
        replace(experiment, protocols={"full": protocol})
