"""Figures of a set of predictions: errors, confusion, precision and recall. Shares from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


def top_k_error(logits: Tensor, labels: Tensor, k: int) -> float:
    """Share of images whose label is not among the k highest logits, 0 to 1.

    Ties count against the model.

    Args:
        logits: [N, classes], or anything that ranks the classes alike.
        labels: [N].
        k: from 1 to the number of classes.

    Raises:
        ValueError: k is out of range, or there are no images.

    Source: Paper, section 2 (definition of the top-5 error rate).
    """
    if not 1 <= k <= logits.shape[1] or not len(labels):
        raise ValueError(f"k is {k} for {logits.shape[1]} classes and {len(labels)} images")
    return int((rank_of_label(logits, labels) >= k).sum()) / len(labels)


def rank_of_label(logits: Tensor, labels: Tensor) -> Tensor:
    """How many other classes rank at least as high as the right one: [N], 0 is a hit.

    A logit that is not a number counts against the model.
    """
    own = logits.gather(1, labels[:, None])
    return (~(logits < own)).sum(1) - 1


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts [classes, classes]: row is the true class, column the predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class's figures."""

    name: str
    precision: float
    """Share of right ones among those predicted as this class; 0 when none was."""
    recall: float
    """Share of this class that was found; 0 when it has no pictures."""
    f1: float
    """Harmonic mean of both."""
    num_images: int


def class_scores(confusion: np.ndarray, names: tuple[str, ...]) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of every class of a confusion matrix."""
    scores = []
    for i, name in enumerate(names):
        hits, found, present = (
            int(n) for n in (confusion[i, i], confusion[:, i].sum(), confusion[i].sum())
        )
        f1 = 2 * hits / (found + present) if found + present else 0.0
        scores.append(ClassScore(name, hits / max(found, 1), hits / max(present, 1), f1, present))
    return tuple(scores)


def most_confused(
    confusion: np.ndarray, names: tuple[str, ...], limit: int = 10
) -> list[tuple[str, str, int]]:
    """(true class, predicted class, count) of the commonest mistakes, most first."""
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(i), len(names)) for i in order]
    return [(names[t], names[p], int(wrong[t, p])) for t, p in pairs if wrong[t, p]]
