"""Metrics from probabilities where something is special; the rest is in test_evaluator.py."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet.errors import ModelFileError
from alexnet.evaluation.results import compute_metrics


def test_fewer_than_five_classes_have_a_top_k_of_all() -> None:
    result = compute_metrics(
        np.array([[0.2, 0.5, 0.3]], np.float32), np.array([0]), ("a", "b", "c")
    )
    assert (result.top1_error, result.top5_error) == (1, 0)


def test_nan_probabilities_are_rejected() -> None:
    broken = np.full((2, 6), 1 / 6, np.float32)
    broken[1, 4] = np.nan
    with pytest.raises(ModelFileError, match="outputs for 1 of 2 images are not finite"):
        compute_metrics(broken, np.array([0, 3]), tuple("abcdef"))
