"""Evaluation: every metric by hand from a small table of probabilities."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import alexnet
from alexnet.data.datasets.folder import folder_source
from alexnet.data.store.build import prepare
from alexnet.errors import DataError
from alexnet.evaluation.evaluator import (
    evaluate_images,
    open_evaluation_data,
    predict_probabilities,
    select_split,
)
from alexnet.inference.classifier import Classifier
from alexnet.reporter import NullReporter
from alexnet.training.run_folder import RunFolder
from support.narrow_nets import narrow_classifier
from support.noise_stores import TINY_FORM
from support.oracles import CLASSES, PROBABILITIES, Oracle, store
from support.runs import SetAside


def evaluated(indices: np.ndarray, **options: object) -> alexnet.Evaluation:
    """The oracle's evaluation on some images."""
    evaluate = cast(Callable[..., alexnet.Evaluation], evaluate_images)
    return evaluate(cast(Classifier, Oracle()), store(), indices, **options)


def test_every_metric_by_hand() -> None:
    result = evaluated(np.arange(8))
    assert (result.crops, result.num_images, result.class_names) == (1, 8, CLASSES)
    assert result.top1_error == 5 / 8
    assert result.accuracy == 3 / 8
    assert result.top5_error == 1 / 8  # fir, of rank 5
    own = [0.5, 0.3, 0.4, 0.6, 0.04, 0.06, 0.24, 1e-12]
    assert result.loss == pytest.approx(-sum(map(math.log, own)) / 8, rel=1e-5)
    assert result.confusion.tolist() == [
        [1, 2, 0, 0, 0, 0],
        [0, 2, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
    ]
    ash, birch, cedar, date, _, _ = result.per_class
    assert (ash.name, ash.precision, ash.recall, ash.f1, ash.num_images) == (
        "ash",
        1 / 3,
        1 / 3,
        1 / 3,
        3,
    )
    assert (birch.precision, birch.recall, birch.f1, birch.num_images) == (1 / 2, 1, 2 / 3, 2)
    assert (cedar.precision, cedar.recall, cedar.f1, cedar.num_images) == (0, None, None, 0)
    assert (date.precision, date.recall, date.f1, date.num_images) == (None, 0, 0, 1)
    assert result.classes_without_images == ("cedar",)
    assert result.most_confused[0] == ("ash", "birch", 2)
    once = {("date", "cedar", 1), ("elm", "ash", 1), ("fir", "ash", 1)}
    assert set(result.most_confused[1:]) == once


def test_top_losses_have_the_lowest_probability_of_the_label_first() -> None:
    result = evaluated(np.arange(8))
    assert [(m.index, m.name, m.label, m.predicted) for m in result.top_losses] == [
        (7, "7.jpg", "date", "cedar"),
        (4, "4.jpg", "fir", "ash"),
        (5, "5.jpg", "elm", "ash"),
        (6, "6.jpg", "ash", "birch"),
        (1, "1.jpg", "ash", "birch"),
        (2, "2.jpg", "birch", "birch"),
        (0, "0.jpg", "ash", "ash"),
        (3, "3.jpg", "birch", "birch"),
    ]
    own = [0, 0.04, 0.06, 0.24, 0.3, 0.4, 0.5, 0.6]
    assert [m.probability for m in result.top_losses] == pytest.approx(own)
    assert [m.is_correct for m in result.top_losses] == [False] * 5 + [True] * 3
    assert np.mean([m.loss for m in result.top_losses]) == pytest.approx(result.loss)
    assert [loss.image[0, 0, 0] for loss in result.top_losses] == [7, 4, 5, 6, 1, 2, 0, 3]
    for count in (0, 2):
        losses = evaluated(np.arange(8), num_top_losses=count).top_losses
        assert [m.index for m in losses] == [7, 4, 5, 6, 1, 2, 0, 3], "all are listed"
        assert [m.image is not None for m in losses] == [i < count for i in range(8)]


def test_of_very_many_images_the_first_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.evaluation.results.MAX_TOP_LOSSES", 3)
    assert [m.index for m in evaluated(np.arange(8)).top_losses] == [7, 4, 5]


def test_indices_select_the_images() -> None:
    result = evaluated(np.array([4, 1]), split="val")
    assert (result.data, result.split) == ("trees", "val")
    assert result.num_images == 2
    assert [m.index for m in result.top_losses] == [4, 1]
    assert result.confusion[5, 0] == 1
    assert result.confusion[0, 1] == 1


def test_without_mistakes_there_are_top_losses() -> None:
    result = evaluated(np.array([0, 2, 3]))
    assert (result.top1_error, result.most_confused) == (0, ())
    assert [(m.index, m.is_correct) for m in result.top_losses] == [(2, True), (0, True), (3, True)]


def test_crops_and_progress_are_passed_on() -> None:
    oracle, told = Oracle(), list[tuple[int, int]]()
    result = evaluate_images(
        cast(Classifier, oracle),
        store(),
        np.arange(8),
        crops=10,
        on_progress=lambda *done: told.append(done),
    )
    assert (result.crops, oracle.crops, told) == (10, [10], [(8, 8)])


def test_many_images_are_read_in_chunks() -> None:
    oracle, told = Oracle(), list[tuple[int, int]]()
    indices = np.tile(np.arange(8), 80)
    found = predict_probabilities(
        cast(Classifier, oracle), store(), indices, on_progress=lambda *done: told.append(done)
    )
    assert told == [(512, 640), (640, 640)]
    assert np.array_equal(found, PROBABILITIES[indices])


def test_probabilities_are_in_memory_once() -> None:
    indices = np.tile(np.arange(8), 8000)
    tracemalloc.start()
    found = predict_probabilities(cast(Classifier, Oracle()), store(), indices)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * found.nbytes


def test_no_images_have_no_probabilities() -> None:
    found = predict_probabilities(cast(Classifier, Oracle()), store(), np.array([], np.int64))
    assert found.shape == (0, 6)


def test_given_labels_replace_those_of_the_store() -> None:
    result = evaluated(np.array([0, 2]), labels=np.array([1, 1, 1, 1, 1, 1, 1, 1]))
    assert result.top1_error == 1 / 2
    assert result.confusion[1, 0] == 1


def test_training_data_that_has_moved(tmp_path: Path) -> None:
    classifier = narrow_classifier("lenet5")
    recipe = replace(classifier.info.recipe, data=str(tmp_path / "moved"))
    classifier = replace(classifier, info=replace(classifier.info, recipe=recipe))
    with pytest.raises(DataError, match=r"cannot be opened: .*; if it has moved, --data names it"):
        open_evaluation_data(classifier, "", "", NullReporter())
    with pytest.raises(DataError) as told:
        open_evaluation_data(classifier, str(tmp_path / "moved"), "", NullReporter())
    assert "moved, --data" not in str(told.value), "it was named"


def test_other_data_keep_their_own_splits(set_aside: SetAside) -> None:
    """Also from a fraction that the recipe held out of the training data."""
    classifier = narrow_classifier("lenet5")
    options = replace(classifier.info.recipe.data_options, test_fraction=0.3)
    recipe = replace(classifier.info.recipe, data_options=options)
    classifier = replace(classifier, info=replace(classifier.info, recipe=recipe))
    data = set_aside("train", "val")
    images = prepare(folder_source(data), TINY_FORM)
    name, indices = select_split(classifier, images, str(data), "auto")
    assert (name, len(indices)) == ("val", 12)


def test_no_images_is_an_error() -> None:
    with pytest.raises(DataError, match="trees has no images to evaluate on"):
        evaluated(np.array([], np.int64))


def test_on_a_real_model_the_parts_agree(trained: RunFolder, flowers: Path, cache: Path) -> None:
    classifier = alexnet.load(trained.path)
    data = prepare(folder_source(flowers), classifier.info.stored_form)
    indices = np.flatnonzero(np.array(data.info.splits) == "test")
    result = evaluate_images(classifier, data, indices)
    found = classifier.probabilities(data.images(indices))
    assert result.top1_error == (found.argmax(1) != data.labels[indices]).mean()
    assert result.confusion.sum() == 12
