"""Metrics of predictions: top-k error, confusion, precision and recall. Fractions from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.evaluation.intervals import ConfidenceInterval, interval_of_fraction

_CHUNK = 4096
"""Images that are ranked at once, which limits the memory."""


def top_k_error(logits: Tensor, labels: Tensor, k: int) -> float:
    """Fraction of images whose label is not among the k highest logits, 0 to 1.

    Of classes with equal logits the first counts as higher, as `argmax` has it.

    Args:
        logits: [N, num_classes], or anything that ranks the classes in the same order.
        labels: [N].
        k: from 1 to the number of classes.

    Raises:
        ValueError: k is out of range, or there are no images.

    Source: Paper, section 2 (definition of the top-5 error rate).
    """
    if not 1 <= k <= logits.shape[1] or not len(labels):
        raise ValueError(f"k is {k} for {logits.shape[1]} classes and {len(labels)} images")
    parts = zip(torch.split(logits, _CHUNK), torch.split(labels, _CHUNK), strict=True)
    return sum(int((rank_of_label(*part) >= k).sum()) for part in parts) / len(labels)


def rank_of_label(logits: Tensor, labels: Tensor) -> Tensor:
    """How many classes rank above the label: [N], 0 where it is the predicted class.

    A class ranks above those with a lower logit, and above later ones with an equal logit: the
    first rank is that of `argmax`. NaN counts against the model.
    """
    own = logits.gather(1, labels[:, None])
    is_before = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]
    return (~(logits <= own) | (is_before & (logits == own))).sum(1)


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts [num_classes, num_classes]: rows are labels, columns predictions."""
    n = num_classes
    return np.bincount(labels * n + predicted, minlength=n**2).reshape(n, n)


@dataclass(frozen=True, slots=True)
class ClassScore:
    """The scores of one class."""

    name: str
    precision: float | None
    """Fraction of the images predicted as this class that are of it; None if there are none."""
    recall: float | None
    """Fraction of the images of this class that are predicted as it; None if there are none."""
    f1: float | None
    """Harmonic mean of precision and recall; None without images of this class."""
    num_images: int
    """Number of images of this class."""

    @property
    def recall_interval(self) -> ConfidenceInterval | None:
        """The 95 % confidence interval of the recall; None without images of this class."""
        return interval_of_fraction(self.recall, self.num_images)


def class_scores(confusion: np.ndarray, names: tuple[str, ...]) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of every class of a confusion matrix."""
    predicted, actual = confusion.sum(0).tolist(), confusion.sum(1).tolist()
    return tuple(
        ClassScore(
            name=name,
            precision=_fraction(hits, predicted[i]),
            recall=_fraction(hits, actual[i]),
            f1=_fraction(2 * hits, predicted[i] + actual[i]) if actual[i] else None,
            num_images=actual[i],
        )
        for i, (name, hits) in enumerate(zip(names, np.diag(confusion).tolist(), strict=True))
    )


def _fraction(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def most_confused(
    confusion: np.ndarray, names: tuple[str, ...], limit: int = 10
) -> list[tuple[str, str, int]]:
    """(label, predicted, count) of the most frequent mistakes, most frequent first."""
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(i), len(names)) for i in order]
    return [(names[t], names[p], int(wrong[t, p])) for t, p in pairs if wrong[t, p]]
