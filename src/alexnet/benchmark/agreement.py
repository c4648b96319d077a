"""How often the optimized and the float32 network predict the same class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.inference.classifier import Classifier


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How the predictions of an optimized classifier compare with those in float32."""

    num_images: int
    batch_size: int
    num_agreeing: int
    """Number of images with the same top-1 class."""
    top1_agreement: float
    """Fraction of images with the same top-1 class, 0 to 1."""
    max_probability_difference: float
    """Largest difference between two probabilities of a class, over all images and classes."""


def benchmark_agreement(
    classifier: Classifier, store: Store, indices: np.ndarray, batch_size: int = 1
) -> Agreement:
    """Compare the predictions of `classifier.optimized()` with those in float32.

    Args:
        classifier: a classifier, which is compared in float32, whatever its own precision.
        store: an image store, resized as the classifier's preprocessing says.
        indices: the indices of the images in the store.
        batch_size: images at a time; some CPUs compute few images with other instructions.

    Raises:
        DataError: there are no images.
    """
    if not len(indices):
        raise DataError("there are no images to compare predictions on")
    optimized, float32 = classifier.optimized(), replace(classifier, precision="float32")
    differences, num_agreeing = [], 0
    for start in range(0, len(indices), batch_size):
        pixels = store.images(indices[start : start + batch_size])
        expected, found = float32.probabilities(pixels), optimized.probabilities(pixels)
        num_agreeing += int((expected.argmax(1) == found.argmax(1)).sum())
        differences.append(float(np.abs(expected - found).max()))
    return Agreement(
        num_images=len(indices),
        batch_size=batch_size,
        num_agreeing=num_agreeing,
        top1_agreement=num_agreeing / len(indices),
        max_probability_difference=max(differences),
    )
