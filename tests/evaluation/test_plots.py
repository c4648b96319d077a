"""Plots of an evaluation, by their data."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet.evaluation.metrics import confusion_matrix
from alexnet.evaluation.plots import MAX_NAMED_CLASSES, confusion, top_losses
from alexnet.evaluation.results import Evaluation, TopLoss, compute_metrics


def evaluation(labels: list[int], predicted: list[int], num_classes: int) -> Evaluation:
    """An evaluation with these predictions; the wrong ones are its top losses, as gray images."""
    names = tuple(f"class {i}" for i in range(num_classes))
    losses = tuple(
        TopLoss(i, f"{i}.jpg", names[t], names[p], 0.0, np.full((2, 2, 3), i, np.uint8))
        for i, (t, p) in enumerate(zip(labels, predicted, strict=True))
        if t != p
    )
    probabilities = np.eye(num_classes, dtype=np.float32)[predicted]
    return compute_metrics(probabilities, np.array(labels), names, top_losses=losses)


def test_a_confusion_matrix_shows_fractions_of_the_label_and_counts() -> None:
    result = evaluation([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], 3)
    (axes,) = confusion(result).axes
    (image,) = axes.images
    assert np.asarray(image.get_array()).tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "3", (1, 0): "1", (1, 1): "1"}
    assert [label.get_text() for label in axes.get_xticklabels()] == list(result.class_names)
    assert axes.get_title() == "accuracy 80.0% on 5 images"


def test_a_large_confusion_matrix_has_no_names() -> None:
    count = MAX_NAMED_CLASSES + 1
    (axes,) = confusion(evaluation([0, 1], [0, 1], count)).axes
    assert not axes.texts
    assert np.asarray(axes.images[0].get_array()).shape == (count, count)


@pytest.mark.parametrize(("num_wrong", "rows", "columns"), [(1, 1, 1), (6, 1, 6), (8, 2, 6)])
def test_top_losses_are_shown_with_label_and_prediction(
    num_wrong: int, rows: int, columns: int
) -> None:
    result = evaluation([0] * num_wrong, [1] * num_wrong, 2)
    grid = top_losses(result).axes
    assert len(grid) == rows * columns
    shown = [axes for axes in grid if axes.images]
    assert len(shown) == num_wrong
    for i, axes in enumerate(shown):
        assert np.asarray(axes.images[0].get_array())[0, 0].tolist() == [i] * 3
        assert axes.get_title() == "class 0\npredicted as class 1"


def test_rows_are_labels_and_columns_predictions() -> None:
    assert confusion_matrix(np.array([1]), np.array([0]), 2).tolist() == [[0, 1], [0, 0]]
