"""Confident learning: how many labels are probably wrong, from probabilities of held-out images.

A class is confident for an image where its probability is at least the mean probability that the
class has for the images with its label. An image that is confident for another class than its label
counts as a label error.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels", sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections import Counter

import numpy as np


def thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean probability of each class for the images with its label, float64 [C].

    It is infinite for a class without images.

    Args:
        probabilities: [N, C], of images that the model was not trained on.
        labels: int64 [N].
    """
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, own, minlength=probabilities.shape[1])
    means: np.ndarray = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    return means


def confident_classes(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class that is confident for each image, int64 [N]; -1 if none is.

    If several are, it is the most probable one.
    """
    is_confident = probabilities >= thresholds(probabilities, labels)
    best = np.where(is_confident, probabilities, -1).argmax(1)
    return np.where(is_confident.any(1), best, -1)


def confident_pairs(confident: np.ndarray, labels: np.ndarray) -> Counter[tuple[int, int]]:
    """The number of label errors by (label, confident class): the off-diagonal confident joint."""
    is_error = (confident >= 0) & (confident != labels)
    return Counter(zip(labels[is_error].tolist(), confident[is_error].tolist(), strict=True))


def ranked_suspects(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of images whose most probable class is not their label; least self-confident first.

    Self-confidence is the probability of an image's label. It finds planted errors better than the
    margin to the most probable class (docs/label-errors.md).
    """
    own = probabilities[np.arange(len(labels)), labels]
    suspects = np.flatnonzero(probabilities.argmax(1) != labels)
    ranked: np.ndarray = suspects[np.argsort(own[suspects], kind="stable")]
    return ranked
