"""Metrics from probabilities where something is special; the rest is in test_evaluator.py."""

from __future__ import annotations

import numpy as np

from alexnet.evaluation.results import compute_metrics


def test_fewer_than_five_classes_have_a_top_k_of_all() -> None:
    result = compute_metrics(
        np.array([[0.2, 0.5, 0.3]], np.float32), np.array([0]), ("a", "b", "c")
    )
    assert (result.top1_error, result.top5_error) == (1, 0)


def test_nan_probabilities_are_never_right() -> None:
    broken = np.full((2, 6), np.nan, np.float32)
    result = compute_metrics(broken, np.array([0, 3]), tuple("abcdef"))
    assert (result.top1_error, result.top5_error) == (1, 1)
