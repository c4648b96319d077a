"""Whether probabilities can be believed: calibration error, reliability, and temperature scaling.

Of the images whose most probable class has a probability of about 0.8, a calibrated classifier gets
about 80 % right. A temperature T, fitted on validation images, divides the logits before the
softmax. It changes no ranking of the classes.

Source: Guo, Pleiss, Sun and Weinberger, ICML 2017, "On calibration of modern neural networks".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.checkpoints.model_file import MAX_TEMPERATURE, MIN_TEMPERATURE

NUM_BINS = 15
"""Bins of equal width over the probabilities of the predicted class (as in the paper)."""
PRIOR_STD = 0.5
"""Standard deviation of ln T before any image is seen: T is between 0.37 and 2.7 in 95 %."""
_GRID_POINTS, _BISECTIONS = 39, 40
_CHUNK = 4096
"""Images whose softmax is computed at once, which limits the memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """The images whose predicted class has a probability above `low`, up to `high`."""

    low: float
    high: float
    num_images: int
    num_correct: int
    confidence: float
    """Mean probability of the predicted class, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How probabilities compare with the fraction of correct predictions."""

    temperature: float
    """The number by which the classifier divides its logits; 1 if none was fitted."""
    error: float
    """Expected calibration error, 0 to 1: the mean difference, over the images, between accuracy
    and confidence of their bin."""
    bins: tuple[ReliabilityBin, ...]
    """The bins with images, lowest probabilities first."""
    error_before: float | None = None
    """The same error with temperature 1; None if none was fitted, or for averages of ten crops."""
    bins_before: tuple[ReliabilityBin, ...] = ()


def calibration(
    probabilities: np.ndarray, labels: np.ndarray, temperature: float, *, is_average: bool
) -> Calibration:
    """The calibration of probabilities [N, num_classes] whose logits were divided by `temperature`.

    Args:
        probabilities: [N, num_classes].
        labels: int64 [N].
        temperature: temperature of the classifier.
        is_average: whether the probabilities are averages of several crops, from which those
            without the temperature cannot be computed.
    """
    bins = reliability_bins(probabilities, labels)
    if temperature == 1 or is_average:
        return Calibration(
            temperature=temperature, error=expected_calibration_error(bins), bins=bins
        )
    before = reliability_bins(with_temperature(probabilities, 1 / temperature), labels)
    return Calibration(
        temperature=temperature,
        error=expected_calibration_error(bins),
        bins=bins,
        error_before=expected_calibration_error(before),
        bins_before=before,
    )


def reliability_bins(probabilities: np.ndarray, labels: np.ndarray) -> tuple[ReliabilityBin, ...]:
    """The images by the probability of their predicted class, without empty bins."""
    confidences = probabilities.max(1).astype(np.float64)
    is_correct = probabilities.argmax(1) == labels
    numbers = np.clip(np.ceil(confidences * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    return tuple(
        ReliabilityBin(
            low=number / NUM_BINS,
            high=(number + 1) / NUM_BINS,
            num_images=int(is_in.sum()),
            num_correct=int(is_correct[is_in].sum()),
            confidence=float(confidences[is_in].mean()),
        )
        for number in range(NUM_BINS)
        if (is_in := numbers == number).any()
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """The mean over the images of |accuracy - confidence| of their bin, 0 to 1.

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015; equation 3 of Guo et al.
    """
    gaps = (abs(part.num_correct - part.num_images * part.confidence) for part in bins)
    return sum(gaps) / sum(part.num_images for part in bins)


def chance_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """The mean calibration error of a calibrated network by chance, for as many images, 0 to 1.

    A bin's n images are then right with the probability p, its confidence. The mean of
    |right - n p| is de Moivre's 2 v C(n, v) p^v (1 - p)^(n - v + 1), where v is the whole part of
    n p, plus 1.

    Source: Diaconis and Zabell, Statistical Science 6(3), 1991, on de Moivre's formula of 1730.
    """
    gaps = (_mean_deviation(part.num_images, part.confidence) for part in bins)
    return sum(gaps) / sum(part.num_images for part in bins)


def _mean_deviation(n: int, p: float) -> float:
    """The mean of |K - n p|, of a binomial K."""
    if not 0 < p < 1:
        return 0.0
    v = math.floor(n * p) + 1
    ways = math.lgamma(n + 1) - math.lgamma(v + 1) - math.lgamma(n - v + 1)
    return 2 * v * math.exp(ways + v * math.log(p) + (n - v + 1) * math.log1p(-p))


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature) of probabilities softmax(logits): float32 [N, num_classes]."""
    scaled = np.empty(probabilities.shape, np.float32)
    for start in range(0, len(probabilities), _CHUNK):
        part = np.maximum(probabilities[start : start + _CHUNK], np.finfo(np.float32).tiny)
        scaled[start : start + _CHUNK] = _softmax(np.log(part.astype(np.float64)) / temperature)
    return scaled


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the lowest sum of -ln p(label) and (ln T)^2 / (2 PRIOR_STD^2).

    The second term is a prior: ln T is normal, with mean 0. Few images tell little about T; without
    the prior 10 or 20 of them often give one that makes the probabilities of new images worse, and
    if all are classified correctly, there is no minimum. Many images outweigh it.

    If the logits are close to 0, the sum may have several minima over ln T. So the lowest value of
    a grid is taken, and bisection finds where the derivative is 0 beside it.

    Args:
        logits: [N, num_classes] of validation images.
        labels: int64 [N].

    Returns:
        From MIN_TEMPERATURE to MAX_TEMPERATURE.

    Source: Guo et al. 2017 for the temperature; the prior, and what it changes (docs/guide.md), are
    our own.
    """
    grid = np.linspace(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE), _GRID_POINTS)
    best = int(np.argmin([_loss_and_slope(logits, labels, point)[0] for point in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, _GRID_POINTS - 1)]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        _, slope = _loss_and_slope(logits, labels, middle)
        low, high = (low, middle) if slope > 0 else (middle, high)
    return math.exp((low + high) / 2)


def _loss_and_slope(
    logits: np.ndarray, labels: np.ndarray, log_temperature: float
) -> tuple[float, float]:
    """The sum that `fit_temperature` minimizes, and its derivative by ln T."""
    loss = log_temperature**2 / (2 * PRIOR_STD**2)
    slope = log_temperature / PRIOR_STD**2
    for start in range(0, len(labels), _CHUNK):
        part = logits[start : start + _CHUNK].astype(np.float64)
        own = part[np.arange(len(part)), labels[start : start + _CHUNK]]
        scaled = (part - own[:, None]) * math.exp(-log_temperature)
        largest = scaled.max(1, keepdims=True)
        exponentials = np.exp(scaled - largest)
        sums = exponentials.sum(1)
        loss += float((np.log(sums) + largest[:, 0]).sum())
        slope -= float(((exponentials * scaled).sum(1) / sums).sum())
    return loss, slope


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))
