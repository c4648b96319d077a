"""What is measured on a finished run, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from alexnet.config.recipe import DataOptions, Recipe, StoppingOptions
from alexnet.data.splits import Splits, split_indices
from alexnet.data.store.store import Store
from alexnet.experiments.measure import (
    epochs_to_error,
    evaluated_images,
    measure_diverged,
    measure_run,
    read_history,
)
from alexnet.experiments.outcome import Outcome
from alexnet.reporter import NullReporter
from alexnet.training.run_folder import RunFolder, read_metrics, read_recipe
from support.experiments import history


@pytest.mark.parametrize(
    ("errors", "value", "is_censored"),
    [
        ((0.6, 0.4, 0.2), 1.5 + (0.4 - 0.25) / (0.4 - 0.2), False),
        ((0.2,), 0.5 * (1 - 0.25) / (1 - 0.2), False),
        ((0.6, 0.25), 1.5, False),
        ((0.6, 0.5, 0.26), 2.5, True),
        ((0.6, 0.2, 0.7), 0.5 + (0.6 - 0.25) / (0.6 - 0.2), False),
    ],
)
def test_epochs_to_an_error_by_hand(
    errors: tuple[float, ...], value: float, is_censored: bool
) -> None:
    outcome = epochs_to_error(
        history(*errors), Recipe(stopping=StoppingOptions(target_train_error=0.25))
    )
    assert outcome.value == pytest.approx(value)
    assert outcome.is_censored == is_censored


def test_a_diverged_run_never_reaches_its_target() -> None:
    recipe = Recipe(epochs=12, stopping=StoppingOptions(target_train_error=0.25))
    outcome = measure_diverged(recipe, "epochs_to_error")
    assert (outcome.value, outcome.is_censored, outcome.has_diverged) == (11.5, True, True)


def test_a_diverged_run_misclassifies_every_image() -> None:
    assert measure_diverged(Recipe(), "test_error") == Outcome(value=1.0, has_diverged=True)


def test_the_early_training_error_is_the_mean_over_the_epochs(trained: RunFolder) -> None:
    outcome = measure_run(trained, "early_train_error", 1, NullReporter())
    errors = [record.train_top1_error for record in read_metrics(trained)]
    assert outcome == Outcome(value=pytest.approx(np.mean(errors)))  # type: ignore[arg-type]


def test_the_training_error_is_measured_on_the_training_images(trained: RunFolder) -> None:
    recipe = read_recipe(trained.config)
    store, train = evaluated_images(recipe, "train_error", NullReporter())
    outcome = measure_run(trained, "train_error", 1, NullReporter())
    assert outcome.indices == tuple(train.tolist())
    assert {store.info.splits[i] for i in outcome.indices} == {"train"}
    assert outcome.value == len(outcome.misclassified) / 36


def test_the_test_error_is_measured_on_the_test_images(trained: RunFolder) -> None:
    store, test = evaluated_images(read_recipe(trained.config), "test_error", NullReporter())
    assert {store.info.splits[i] for i in test} == {"test"}
    assert len(test) == 12


def test_the_images_of_the_learning_curve_do_not_limit_the_measure(
    trained: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, used = read_recipe(trained.config), []

    def recording(store: Store, options: DataOptions, seed: int) -> Splits:
        used.append(options)
        return split_indices(store, options, seed)

    monkeypatch.setattr("alexnet.experiments.measure.split_indices", recording)
    few = replace(recipe, data_options=replace(recipe.data_options, test_per_class=1))
    evaluated_images(few, "test_error", NullReporter())
    assert [options.test_per_class for options in used] == [None]


def test_a_run_that_ended_within_its_first_epoch_has_no_history(trained: RunFolder) -> None:
    assert len(read_history(trained.path)) == 3
    assert read_history(trained.path / "plots") == []
