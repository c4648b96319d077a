"""Plots of an evaluation, by their data."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from alexnet.evaluation.metrics import confusion_matrix
from alexnet.evaluation.plots import confusion, top_losses
from alexnet.evaluation.results import Evaluation, TopLoss, compute_metrics
from alexnet.evaluation.shown_classes import (
    BLOCK_SIZE,
    MAX_NAMED_CLASSES,
    choose_classes,
    most_confused_block,
)
from support.figures import overlapping_texts
from support.slow import first_fast


def evaluation(
    labels: list[int], predicted: list[int], num_classes: int, names: tuple[str, ...] = ()
) -> Evaluation:
    """An evaluation with these predictions; the wrong ones are its top losses, as gray images."""
    names = names or tuple(f"class {i}" for i in range(num_classes))
    losses = tuple(
        TopLoss(
            i, f"{i}.jpg", names[t], names[p], 0.07, 0.9, False, np.full((2, 2, 3), i, np.uint8)
        )
        for i, (t, p) in enumerate(zip(labels, predicted, strict=True))
        if t != p
    )
    probabilities = np.eye(num_classes, dtype=np.float32)[predicted]
    return compute_metrics(probabilities, np.array(labels), names, top_losses=losses)


def meshes(axes: Axes) -> list[np.ma.MaskedArray]:
    """The values of the colored cells: none, the correct ones, the errors."""
    return [np.ma.masked_array(m.get_array()) for m in axes.collections if isinstance(m, QuadMesh)]


def test_correct_shares_and_errors_have_their_own_colors() -> None:
    result = evaluation([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], 3)
    axes, correct, errors = confusion(result, "title").axes
    _, right, wrong = meshes(axes)
    assert right.filled(-1).tolist() == [[0.75, -1, -1], [-1, 1, -1], [-1, -1, -1]]
    assert wrong.filled(-1).tolist() == [[-1, 0.25, -1], [-1, -1, -1], [-1, -1, -1]]
    assert (correct.get_ylim(), errors.get_ylim()) == ((0, 1), (0, 0.25))
    assert (correct.get_ylabel(), errors.get_ylabel()) == ("correct", "errors")


def test_a_confusion_matrix_has_counts_with_shares_and_the_number_of_images() -> None:
    axes, *_ = confusion(evaluation([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], 3)).axes
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts == {(0.5, 0.5): "3\n75 %", (1.5, 0.5): "1\n25 %", (1.5, 1.5): "1\n100 %"}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["class 0", "class 1", "class 2"]
    rows = [t.get_text() for t in axes.get_yticklabels()]
    assert rows == ["class 0 (4)", "class 1 (1)", "class 2 (0)"]
    assert axes.get_title("left") == "accuracy 80.0 %: 4 of 5 images"
    assert axes.get_ylim() == (3, 0), "the first class is on top"


def test_without_errors_there_is_no_scale_of_them() -> None:
    axes, correct, errors = confusion(evaluation([0, 1], [0, 1], 2)).axes
    assert len(meshes(axes)) == 2
    assert (correct.axison, errors.axison) == (True, False)


def test_many_classes_are_shown_by_those_that_are_confused() -> None:
    """39 is taken for 38 three times, 7 for 38 once, and 1 for 2 twice."""
    labels, predicted = [39, 39, 39, 7, 1, 1, 0], [38, 38, 38, 38, 2, 2, 0]
    result = evaluation(labels * 2 + list(range(40)), predicted * 2 + list(range(40)), 40)
    shown, text = choose_classes(result.confusion)
    assert shown.tolist() == [1, 2, 7, 38, 39]
    assert "the 5 of 40 classes that are confused most with each other (12 of 12 errors)" in text
    axes, *_ = confusion(result).axes
    assert text in axes.get_title("left")
    assert axes.get_xticklabels()[0].get_text() == "class 1"
    assert axes.get_yticklabels()[-1].get_text() == "class 39 (7)", "of all its images"


def test_of_many_classes_those_that_occur_are_shown() -> None:
    shown, text = choose_classes(evaluation([500, 7, 7], [500, 7, 9], 1000).confusion)
    assert shown.tolist() == [7, 9, 500]
    assert "the 3 of 1,000 classes that occur" in text


def test_many_classes_without_errors() -> None:
    every = list(range(MAX_NAMED_CLASSES + 1))
    shown, text = choose_classes(evaluation(every, every, len(every)).confusion)
    assert shown.tolist() == every[:BLOCK_SIZE]
    assert text.startswith("no errors")
    fewer = evaluation(every[:-1], every[:-1], len(every) - 1)
    assert choose_classes(fewer.confusion)[1] == ""


def test_the_block_has_at_most_its_size() -> None:
    """Three pairs; the second pair shares an error with the first, the third has none."""
    counts = np.zeros((9, 9), int)
    counts[8, 1], counts[2, 3], counts[3, 1], counts[5, 6] = 9, 4, 1, 3
    assert most_confused_block(counts, 2).tolist() == [1, 8]
    assert most_confused_block(counts, 3).tolist() == [1, 3, 8]
    assert most_confused_block(counts, 5).tolist() == [1, 2, 3, 8], "no room for a whole pair"
    assert most_confused_block(counts, 9).tolist() == [1, 2, 3, 5, 6, 8]


NAMES = ("x" * 199 + "a", "x" * 199 + "b", "文" * 200, "$a_b$ {}", "日本語の花", "größe")
"""Two that differ at their ends, two that DejaVu Sans lacks, and one that looks like TeX."""


@pytest.mark.slow
@pytest.mark.parametrize("count", first_fast([len(NAMES), 2]))
def test_long_and_foreign_names_neither_warn_nor_overlap(count: int) -> None:
    labels = list(range(count))
    result = evaluation([*labels, 0], [*labels, count - 1], count, NAMES[-count:])
    figure = confusion(result, "title")
    assert overlapping_texts(figure) == []
    assert overlapping_texts(top_losses(result, "title")) == []


@pytest.mark.parametrize(("num_wrong", "rows"), [(1, 1), (6, 2)])
def test_top_losses_are_shown_with_label_and_prediction(num_wrong: int, rows: int) -> None:
    result = evaluation([0] * num_wrong, [1] * num_wrong, 2)
    grid = top_losses(result).axes
    assert len(grid) == rows * 4
    shown = [axes for axes in grid if axes.images]
    assert len(shown) == num_wrong
    for i, axes in enumerate(shown):
        assert np.asarray(axes.images[0].get_array())[0, 0].tolist() == [i] * 3
        title = f"{i}.jpg\nlabel: class 0, 7 %\npredicted: class 1, 90 %"
        assert axes.get_title("left") == title


def test_right_predictions_among_the_top_losses_are_marked() -> None:
    losses = tuple(
        TopLoss(i, f"{i}.jpg", "a", "ba"[i], 0.4, 0.4, i == 1, np.zeros((2, 2, 3), np.uint8))
        for i in range(2)
    )
    one = np.array([[0.4, 0.6]], np.float32)
    result = compute_metrics(one, np.array([0]), ("a", "b"), top_losses=losses)
    wrong, right, *_ = top_losses(result).axes
    assert "\npredicted: b, 40 %" in wrong.get_title("left")
    assert "\npredicted (correct): a, 40 %" in right.get_title("left")


def test_rows_are_labels_and_columns_predictions() -> None:
    assert confusion_matrix(np.array([1]), np.array([0]), 2).tolist() == [[0, 1], [0, 0]]
