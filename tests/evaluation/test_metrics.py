"""Errors, confusion matrix and scores, each by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alexnet.evaluation.metrics import (
    ClassScore,
    class_scores,
    confusion_matrix,
    most_confused,
    rank_of_label,
    top_k_error,
)

LOGITS = torch.tensor(
    [
        [0.1, 0.9, 0.3, 0.2],
        [0.1, 0.9, 0.3, 0.2],
        [0.1, 0.9, 0.3, 0.2],
        [0.1, 0.9, 0.3, 0.2],
    ]
)
LABELS = torch.tensor([0, 1, 2, 3])
"""Ranks 3, 0, 1, 2."""


def test_rank_of_label() -> None:
    assert rank_of_label(LOGITS, LABELS).tolist() == [3, 0, 1, 2]


@pytest.mark.parametrize(("k", "error"), [(1, 0.75), (2, 0.5), (3, 0.25), (4, 0.0)])
def test_top_k_error(k: int, error: float) -> None:
    assert top_k_error(LOGITS, LABELS, k) == pytest.approx(error)


def test_of_equal_logits_the_first_class_is_higher() -> None:
    logits = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
    labels = torch.tensor([0, 1, 2, 2])
    assert rank_of_label(logits, labels).tolist() == [0, 1, 2, 2]
    found = [top_k_error(logits, labels, k) for k in (1, 2, 3)]
    assert found == pytest.approx([3 / 4, 1 / 2, 0])


def test_a_constant_model_is_right_for_the_first_class() -> None:
    assert top_k_error(torch.zeros(10, 5), torch.arange(10) % 5, 1) == pytest.approx(0.8)


@given(st.integers(0, 1000), st.integers(1, 4))
def test_the_error_is_that_of_the_confusion_matrix_where_many_logits_are_equal(
    seed: int, levels: int
) -> None:
    random = np.random.default_rng(seed)
    logits, labels = random.integers(levels, size=(40, 6)).astype(np.float32), np.arange(40) % 6
    confusion = confusion_matrix(logits.argmax(1), labels, 6)
    error = top_k_error(torch.from_numpy(logits), torch.from_numpy(labels), 1)
    assert error == pytest.approx(1 - np.trace(confusion) / 40)


def test_infinite_logits() -> None:
    logits = torch.tensor([[math.inf, 0.0], [-math.inf, 0.0]])
    assert rank_of_label(logits, torch.tensor([0, 0])).tolist() == [0, 1]


@pytest.mark.parametrize(
    "logits", [[math.nan, math.nan], [math.nan, 0.0], [0.0, math.nan]], ids=["all", "own", "other"]
)
def test_nan_counts_against_the_model(logits: list[float]) -> None:
    assert top_k_error(torch.tensor([logits]), torch.tensor([0]), 1) == 1.0


@pytest.mark.parametrize("k", [0, -1, 5])
def test_k_out_of_range(k: int) -> None:
    with pytest.raises(ValueError, match=f"^k is {k} for 4 classes and 4 images$"):
        top_k_error(LOGITS, LABELS, k)


def test_no_images() -> None:
    with pytest.raises(ValueError, match=r"^k is 1 for 4 classes and 0 images$"):
        top_k_error(LOGITS[:0], LABELS[:0], 1)


@given(st.integers(1, 6), st.integers(0, 1000))
def test_top_k_error_against_sorting(k: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randperm(120, generator=generator).reshape(20, 6).float()
    labels = torch.randint(6, (20,), generator=generator)
    hits = (logits.topk(k).indices == labels[:, None]).any(1)
    assert top_k_error(logits, labels, k) == pytest.approx(1 - float(hits.float().mean()))


PREDICTED = np.array([0, 0, 1, 2, 2, 2, 1, 0])
TRUE = np.array([0, 0, 0, 2, 2, 1, 1, 1])
CONFUSION = np.array([[2, 1, 0, 0], [1, 1, 1, 0], [0, 0, 2, 0], [0, 0, 0, 0]])
NAMES = ("rose", "iris", "tulip", "pansy")


def test_confusion_matrix() -> None:
    assert confusion_matrix(PREDICTED, TRUE, 4).tolist() == CONFUSION.tolist()


def test_confusion_matrix_without_images() -> None:
    nothing = np.array([], dtype=np.int64)
    assert confusion_matrix(nothing, nothing, 3).tolist() == [[0] * 3] * 3


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_confusion_counts_every_image_once(pairs: list[tuple[int, int]]) -> None:
    predicted, labels = (np.array(column) for column in zip(*pairs, strict=True))
    matrix = confusion_matrix(predicted, labels, 5)
    assert matrix.sum() == len(pairs)
    assert matrix.sum(1).tolist() == np.bincount(labels, minlength=5).tolist()
    assert matrix.sum(0).tolist() == np.bincount(predicted, minlength=5).tolist()
    assert np.trace(matrix) == sum(p == t for p, t in pairs)


def test_class_scores_by_hand() -> None:
    rose, iris, tulip, pansy = class_scores(CONFUSION, NAMES)
    assert rose == ClassScore("rose", 2 / 3, 2 / 3, 2 / 3, 3)
    # Two predicted as iris, one of them right; three irises.
    assert iris == ClassScore("iris", 1 / 2, 1 / 3, 2 / 5, 3)
    assert iris.f1 == pytest.approx(2 / (1 / iris.precision + 1 / iris.recall))
    assert tulip == ClassScore("tulip", 2 / 3, 1.0, 4 / 5, 2)
    assert pansy == ClassScore("pansy", None, None, None, 0)


def test_class_never_found() -> None:
    never, _ = class_scores(np.array([[0, 4], [0, 1]]), ("a", "b"))
    assert never == ClassScore("a", None, 0.0, 0.0, 4)


def test_class_without_images_that_is_predicted_is_always_predicted_wrongly() -> None:
    absent, _ = class_scores(np.array([[0, 0], [3, 1]]), ("a", "b"))
    assert absent == ClassScore("a", 0.0, None, None, 0)


def test_most_confused() -> None:
    matrix = np.array([[9, 1, 4], [2, 0, 0], [0, 4, 7]])
    names = ("a", "b", "c")
    expected = [("a", "c", 4), ("c", "b", 4), ("b", "a", 2), ("a", "b", 1)]
    assert most_confused(matrix, names) == expected
    assert most_confused(matrix, names, 2) == expected[:2]
    assert most_confused(np.diag([3, 4, 5]), names) == []
    assert matrix.tolist() == [[9, 1, 4], [2, 0, 0], [0, 4, 7]]
