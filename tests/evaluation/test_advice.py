"""What an evaluation leaves uncertain, at the borders."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet.evaluation.advice import evaluation_advice
from alexnet.evaluation.results import Evaluation, compute_metrics


def evaluated(*counts: int, num_wrong: int = 0) -> Evaluation:
    """An evaluation of so many images of each class; of the last, the first ones are wrong."""
    labels = np.repeat(np.arange(len(counts)), counts)
    predicted = labels.copy()
    predicted[len(labels) - counts[-1] :][:num_wrong] = 0
    probabilities = np.eye(len(counts), dtype=np.float32)[predicted]
    names = tuple("abcdef"[: len(counts)])
    return compute_metrics(probabilities, labels, names, split="test")


@pytest.mark.parametrize(("count", "is_said"), [(14, True), (15, False)])
def test_fewer_than_30_images(count: int, is_said: bool) -> None:
    told = evaluation_advice(evaluated(15, count))
    assert told == (
        ["29 images tell little, each is 3.4 points of the error: evaluate on more (--data FOLDER)"]
        if is_said
        else []
    )


def test_a_rare_class() -> None:
    (told,) = evaluation_advice(evaluated(30, 30, 4))
    assert told.startswith("1 class has fewer than 5 test images (c 4): its recall")


def test_imbalance_tells_the_mean_recall() -> None:
    """Recalls of 1 and 3/6."""
    (told,) = evaluation_advice(evaluated(61, 6, num_wrong=3))
    assert told == (
        "a has 61 images and b 6, 10 times fewer, so the error is mostly that of large classes: "
        "the mean recall of the classes is 75.0 %"
    )
    assert evaluation_advice(evaluated(60, 6)) == []
