"""Models on the same images: counts and tests by hand, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from alexnet.config.recipe import DataOptions, Recipe
from alexnet.data.store.store import Store
from alexnet.errors import DataError, ModelFileError, UsageError
from alexnet.evaluation.evaluator import evaluate
from alexnet.evaluation.intervals import mcnemar_p_value, paired_difference_interval
from alexnet.evaluation.paired import (
    check_same_data,
    common_split,
    compare_errors,
    compare_models,
    misclassified,
)
from alexnet.inference.classifier import Classifier, load
from alexnet.training.run_folder import RunFolder
from support.oracles import CLASSES, Oracle, store

A = np.array([1, 1, 1, 0, 0, 0, 0, 0, 1, 0], bool)
B = np.array([0, 0, 1, 0, 1, 0, 0, 0, 0, 0], bool)


def test_counts_and_tests_by_hand() -> None:
    comparison = compare_errors({"a": A, "b": B, "c": ~A}, data="trees", split="test", crops=10)
    assert (comparison.num_images, comparison.split, comparison.crops) == (10, "test", 10)
    assert [(m.name, m.num_wrong, m.top1_error) for m in comparison.models] == [
        ("a", 4, 0.4), ("b", 2, 0.2), ("c", 6, 0.6),
    ]  # fmt: skip
    b, c = comparison.tests
    assert (b.name, b.only_first_wrong, b.only_this_wrong) == ("b", 3, 1)
    assert b.difference == pytest.approx(-0.2)
    assert b.interval == paired_difference_interval(1, 3, 10)
    assert b.interval.low < -0.2 < b.interval.high
    assert b.p_value == mcnemar_p_value(3, 1)
    assert (c.only_first_wrong, c.only_this_wrong) == (4, 6)
    assert (b.adjusted_p_value, c.adjusted_p_value) == (1.0, 1.0)


def test_the_p_values_of_several_tests_are_adjusted() -> None:
    none, many = np.zeros(30, bool), np.arange(30) < 8
    comparison = compare_errors({"a": many, "b": none, "c": many})
    assert [test.p_value for test in comparison.tests] == [2 / 2**8, 1.0]
    assert [test.adjusted_p_value for test in comparison.tests] == [4 / 2**8, 1.0]


def test_errors_are_those_of_evaluate(trained: RunFolder, second: Classifier) -> None:
    first = load(trained.path)
    comparison = compare_models({"a": first, "b": second})
    assert (comparison.data, comparison.split, comparison.num_images) == ("flowers", "test", 12)
    for model, classifier in zip(comparison.models, (first, second), strict=True):
        assert model.top1_error == evaluate(classifier).top1_error
    assert comparison.models[1].num_wrong == 11, "of 12 classes with an image each"


@pytest.fixture
def second(trained: RunFolder) -> Classifier:
    """The trained model, which always predicts the first class."""
    classifier = load(trained.path)
    bias = dict(classifier.network.named_parameters())["fc8.bias"]
    bias.data[0] += 1000
    return classifier


def classifier_of(recipe: Recipe, manifest_hash: str = "") -> Classifier:
    """Something with a recipe, for the choice of a split."""
    info = type("Info", (), {"recipe": recipe, "manifest_hash": manifest_hash})()
    made = Oracle()
    made.info = info  # type: ignore[attr-defined]
    return cast(Classifier, made)


def many() -> Store:
    """Forty images without a split of their own."""
    return store(CLASSES[:2], np.arange(40) % 2)


def test_models_that_split_the_data_in_other_ways_are_refused() -> None:
    recipes = [Recipe(data="/trees", seed=seed) for seed in (0, 1)]
    stores = {"a": many(), "b": many()}
    models = {name: classifier_of(recipe) for name, recipe in zip("ab", recipes, strict=True)}
    with pytest.raises(DataError, match=r"a and b have different test images.*--split-seed"):
        common_split(models, stores, "", "auto")
    fixed = DataOptions(split_seed=3)
    recipes = [replace(recipe, data_options=fixed) for recipe in recipes]
    models = {name: classifier_of(recipe) for name, recipe in zip("ab", recipes, strict=True)}
    name, indices = common_split(models, stores, "", "auto")
    assert (name, len(indices)) == ("test", 8)


def test_a_model_that_was_trained_on_other_data_takes_the_split_of_one_that_was_not() -> None:
    stores = {"imported": many(), "own": many()}
    models = {
        "imported": classifier_of(Recipe(data="")),
        "own": classifier_of(Recipe(data="/trees", seed=5)),
    }
    name, indices = common_split(models, stores, "/trees", "auto")
    _, own = common_split({"own": models["own"]}, stores, "", "auto")
    assert name == "test"
    assert np.array_equal(indices, own)


def test_other_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"a was trained on trees \(8 images\) and b on trees \(40"):
        check_same_data({"a": store(), "b": many()})
    check_same_data({"a": store(), "b": store(), "c": store()})


def test_fewer_than_two_models_are_refused() -> None:
    with pytest.raises(UsageError, match="two models or more"):
        compare_models({"a": cast(Classifier, Oracle())})


def test_outputs_that_are_not_finite_are_refused() -> None:
    class Broken(Oracle):
        def probabilities(self, pixels: np.ndarray, crops: int) -> np.ndarray:
            return np.full((len(pixels), len(CLASSES)), np.nan, np.float32)

    with pytest.raises(ModelFileError, match="outputs of x are not finite"):
        misclassified("x", cast(Classifier, Broken()), store(), np.arange(8), 1)
    wrong = misclassified("x", cast(Classifier, Oracle()), store(), np.arange(8), 1)
    assert wrong.tolist() == [False, True, False, False, True, True, True, True]
