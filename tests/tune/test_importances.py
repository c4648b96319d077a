"""Which options matter is told from trials that were ended early, too."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from alexnet.config.recipe import Recipe
from alexnet.tune.plan import Tuning
from alexnet.tune.space import Parameter
from alexnet.tune.trials import MIN_FOR_IMPORTANCES, Importances, importances

SPACE = (
    Parameter(option="lr", low=0.0, high=1.0),
    Parameter(option="batch_size", choices=(8, 16)),
)
DISTRIBUTIONS = {
    "lr": FloatDistribution(0, 1),
    "batch_size": CategoricalDistribution((8, 16)),
}


def study_of(epochs: list[int], weight: float = 1.0) -> optuna.Study:
    """A study of trials with so many epochs; their errors fall and depend on the learning rate.

    In the last epoch of the trials with most epochs they depend on nothing.
    """
    study = optuna.create_study()
    for number, last in enumerate(epochs):
        lr = (0.37 * number) % 1
        errors = {epoch: 0.5 / epoch + weight * lr for epoch in range(1, last + 1)}
        if last == max(epochs):
            errors[last] = 0.01
        state = TrialState.COMPLETE if last == max(epochs) else TrialState.PRUNED
        trial = create_trial(
            state=state,
            value=min(errors.values()),
            params={"lr": lr, "batch_size": (8, 16)[number % 2]},
            distributions=DISTRIBUTIONS,
            intermediate_values=errors,
        )
        study.add_trial(trial)
    return study


def found(study: optuna.Study) -> Importances:
    recipe = Recipe()
    return importances(study, Tuning(start=recipe, recipe=recipe, space=SPACE, data="", images={}))


@pytest.mark.parametrize(
    ("epochs", "trials", "after"),
    [
        ([9] * 3 + [4] * 10 + [1] * 8, 13, 4),  # half of 21 have four
        ([9] * 3 + [4] * 5 + [1] * 30, 38, 1),
        ([9] * 3 + [4] * 5, 8, 4),
    ],
)
def test_trials_are_compared_after_equally_many_epochs(
    epochs: list[int], trials: int, after: int
) -> None:
    told = found(study_of(epochs))
    assert (told.trials, told.epochs) == (trials, after)
    assert told.values["lr"] > 0.8
    assert sum(told.values.values()) == pytest.approx(1)


def test_few_trials_and_equal_ones_tell_nothing() -> None:
    assert found(study_of([3] * 2 + [2] * (MIN_FOR_IMPORTANCES - 3))) == Importances({})
    assert found(study_of([3] * 2 + [2] * 20, weight=0)) == Importances({})
    assert found(optuna.create_study()) == Importances({})
