"""Confident learning by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from alexnet.label_errors.confident import (
    confident_classes,
    confident_pairs,
    ranked_suspects,
    thresholds,
)

LABELS = np.array([0, 0, 0, 1, 1])
PROBABILITIES = np.array(
    [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.2, 0.8, 0.0], [0.45, 0.55, 0.0]]
)


def test_thresholds_are_the_mean_self_confidence() -> None:
    found = thresholds(PROBABILITIES, LABELS)
    assert found[:2] == pytest.approx([0.6, 0.675])
    assert found[2] == np.inf  # of a class without images


def test_an_image_is_confident_where_its_probability_reaches_the_threshold() -> None:
    confident = confident_classes(PROBABILITIES, LABELS)
    assert confident.tolist() == [0, 0, 1, 1, -1]
    assert confident_pairs(confident, LABELS) == Counter({(0, 1): 1})


def test_of_several_confident_classes_the_most_probable_one_counts() -> None:
    labels = np.array([0, 1, 2])
    probabilities = np.array([[0.3, 0.4, 0.3], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3]])
    assert confident_classes(probabilities, labels).tolist() == [1, 0, 1]


def test_suspects_are_ranked_by_self_confidence() -> None:
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.4, 0.6], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    assert ranked_suspects(probabilities, labels).tolist() == [1, 2, 0]
