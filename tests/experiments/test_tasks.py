"""The order and the recipes of an experiment's runs, with trainings that only write their curve."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.recipe import Recipe, StoppingOptions
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.plan import TUNING_SEED, Plan
from alexnet.experiments.results import ExperimentResult
from alexnet.experiments.run import run_experiment
from alexnet.training.run_folder import RunFolder
from support.experiments import history

TARGET = 0.25
GRID = (0.003, 0.001, 0.01)
EpochsNeeded = Callable[[Recipe], float]


@pytest.fixture
def train_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[EpochsNeeded], list[Recipe]]:
    """Stands in for training: the error falls from 1 in a straight line, to TARGET when it is told.

    Gives a list of the recipes that are trained.
    """

    def install(epochs_needed: EpochsNeeded) -> list[Recipe]:
        trained: list[Recipe] = []

        def train(recipe: Recipe, *, out: Path, **rest: object) -> None:
            trained.append(recipe)
            out.mkdir(parents=True)
            slope = (1 - TARGET) / epochs_needed(recipe)
            errors = [1 - slope * (epoch + 0.5) for epoch in range(recipe.epochs)]
            last = next((i for i, error in enumerate(errors) if error <= TARGET), len(errors))
            run = RunFolder(out)
            run.write_recipe(recipe)
            run.write_epochs(history(*errors[: last + 1]), ())
            run.result.write_text("{}")

        monkeypatch.setattr("alexnet.training.train_or_resume.train", train)
        return trained

    return install


def speed_plan(experiment: Experiment, epochs: int = 100) -> Plan:
    """Epochs to 25 % training error of the two arms that train."""
    quick = experiment.protocols["quick"]
    base = replace(quick.base, epochs=epochs, stopping=StoppingOptions(target_train_error=TARGET))
    protocol = replace(quick, base=base, lr_grid=GRID, arm_lr_grids={})
    return Plan(
        experiment=replace(
            experiment,
            measure="epochs_to_error",
            arms=(experiment.arms[0], experiment.arms[2]),
            comparisons=(replace(experiment.comparisons[0], scale="ratio", min_effect=2.0),),
            protocols={"quick": protocol},
        )
    )


def epochs_by_lr(recipe: Recipe) -> float:
    """Fastest at .005 with dropout, and six times as slow at .05 without; tuning is the slower."""
    fastest, least = (0.05, 36.0) if recipe.model.dropout == 0 else (0.005, 6.0)
    is_tuning = recipe.seed >= TUNING_SEED
    return least * (1 + 3 * math.log10(recipe.optimizer.lr / fastest) ** 2) + (
        0.1 if is_tuning else 0
    )


@pytest.mark.usefixtures("no_plots")
def test_a_ratio_of_epochs_at_the_fastest_rates(
    experiment: Experiment,
    train_as: Callable[[EpochsNeeded], list[Recipe]],
    tmp_path: Path,
) -> None:
    """The fastest rates tried, .00548 and .0562, are halfway between two of the coarse grid; the
    parabolas have their lowest points at .005 and .05."""
    trained = train_as(epochs_by_lr)
    result = run_experiment(speed_plan(experiment), tmp_path / "out")
    fast, slow = result.arms
    assert fast.lrs == pytest.approx((0.005,) * 3, rel=0.01)
    assert slow.lrs == pytest.approx((0.05,) * 3, rel=0.01)
    assert fast.values == pytest.approx((6.0,) * 3, abs=0.001)
    assert result.comparisons[0].interval.estimate == pytest.approx(6, rel=0.01)
    assert not fast.is_at_edge
    assert not slow.is_at_edge
    assert sorted({recipe.seed for recipe in trained}) == [0, 1, 2, 1000, 1001, 1002]
    check_that_slow_tuning_runs_end(result, trained)


def check_that_slow_tuning_runs_end(result: ExperimentResult, trained: list[Recipe]) -> None:
    """After .003, which takes 7 epochs, none may take more than one and a half times as many."""
    of_first_arm = [r for r in trained if r.seed == TUNING_SEED and r.model.dropout is None]
    assert [(recipe.optimizer.lr, recipe.epochs) for recipe in of_first_arm] == [
        (0.003, 100),
        (0.001, 11),
        (0.01, 11),
        (0.00173, 11),
        (0.00548, 11),
    ]
    trials = {trial.lr: trial for trial in result.arms[0].trials[0]}
    assert [lr for lr, trial in trials.items() if trial.is_censored] == [0.001]
    assert trials[0.001].value >= trials[0.003].value


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_where_no_rate_reaches_the_target_the_lowest_loss_decides(
    experiment: Experiment,
    train_as: Callable[[EpochsNeeded], list[Recipe]],
    tmp_path: Path,
) -> None:
    train_as(epochs_by_lr)
    result = run_experiment(speed_plan(experiment, epochs=4), tmp_path / "out")
    assert result.arms[0].censored == (True, True, True)
    assert result.verdict == "undecided"
