"""How often the optimized network predicts the same class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.inference.classifier import Classifier


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How often a classifier prepared for inference names the same class as in float32."""

    pictures: int
    batch: int
    """Pictures at a time."""
    agreeing: int
    """Pictures with the same likeliest class."""
    top1_agreement: float
    """Share of the pictures, 0 to 1."""
    largest_difference: float
    """Of a class's probability, 0 to 1."""


def agreement(classifier: Classifier, store: Store, rows: np.ndarray, batch: int = 1) -> Agreement:
    """Compare a classifier as `optimized()` prepares it with itself in float32.

    Args:
        classifier: a trained one; compared in float32, whatever its own precision.
        store: prepared as its preprocessing says.
        rows: pictures of the store.
        batch: pictures at a time; some processors compute a few in another way than many.

    Raises:
        DataError: no pictures.
    """
    if not len(rows):
        raise DataError("there are no pictures to compare on")
    prepared, plain = classifier.optimized(), replace(classifier, precision="float32")
    differences, agreed = [], 0
    for start in range(0, len(rows), batch):
        pixels = store.images(rows[start : start + batch])
        one, other = plain.probabilities(pixels), prepared.probabilities(pixels)
        agreed += int((one.argmax(1) == other.argmax(1)).sum())
        differences.append(float(np.abs(one - other).max()))
    return Agreement(
        pictures=len(rows),
        batch=batch,
        agreeing=agreed,
        top1_agreement=agreed / len(rows),
        largest_difference=max(differences),
    )
