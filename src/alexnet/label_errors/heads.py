"""Class probabilities of images by heads that were not trained on them.

A head is a softmax regression on frozen features, with an L2 penalty, fitted by L-BFGS.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.reporter import ProgressCallback, ignore_progress

PENALTY = 3e-5
"""L2 penalty, in units of the mean squared length of the features; chosen by a grid search on
planted label errors (docs/label-errors.md)."""
MAX_STEPS = 60
"""Steps of L-BFGS; more steps do not change the results noticeably."""
MAX_DIRECTIONS, MAX_SAMPLE = 512, 4096
"""Principal components that are kept, and images from which they are computed."""


def fold_of_images(
    labels: np.ndarray, num_folds: int, seed: int, groups: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """Assign a fold to each image, int64 [N]; a class's numbers per fold differ by at most one.

    Args:
        labels: int64 [N].
        num_folds: number of folds.
        seed: seed of the assignment.
        groups: indices of images that are the same; they get into one fold, so that a head is not
            trained on a copy of an image that it predicts.
    """
    random = np.random.default_rng([seed, 31])
    folds = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        folds[members] = (np.arange(len(members)) + label) % num_folds
    for group in groups:
        folds[group] = folds[group[0]]
    return folds


def reduced_features(features: np.ndarray, rows: np.ndarray) -> Tensor:
    """Project the features of some rows on their first principal components: float32 [n, d].

    d is at most 512. Each row is divided by its L2 norm first. The components are computed from
    evenly spaced rows.
    """
    sample = _normalized(features[rows[:: -(-len(rows) // MAX_SAMPLE)]])
    mean = sample.mean(0)
    sample -= mean
    squares, vectors = np.linalg.eigh((sample @ sample.T).astype(np.float64))
    kept = np.flatnonzero(squares > 1e-6 * squares[-1])[::-1][:MAX_DIRECTIONS]
    directions = (sample.T @ (vectors[:, kept] / np.sqrt(squares[kept]))).astype(np.float32)
    found = np.empty((len(rows), len(kept)), np.float32)
    for start in range(0, len(rows), 1024):
        found[start : start + 1024] = (
            _normalized(features[rows[start : start + 1024]]) - mean
        ) @ directions
    square = float(np.einsum("nd,nd->", found, found, dtype=np.float64)) / max(found.size, 1)
    found *= np.float32(square**-0.5 if square else 1)
    return torch.from_numpy(found)


def _normalized(features: np.ndarray) -> np.ndarray:
    """The rows divided by their L2 norms; rows of zeros are not changed."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    normalized: np.ndarray = features / np.where(lengths > 0, lengths, 1)
    return normalized


def out_of_fold(
    features: Tensor,
    labels: np.ndarray,
    folds: np.ndarray,
    num_classes: int,
    on_progress: ProgressCallback = ignore_progress,
) -> np.ndarray:
    """Probabilities float32 [N, C] of each image by a head trained on the other folds.

    Args:
        features: float32 [N, D], from `reduced_features`.
        labels: int64 [N].
        folds: int64 [N], from `fold_of_images`.
        num_classes: C.
        on_progress: called with (folds done, folds in all).
    """
    found = np.zeros((len(labels), num_classes), np.float32)
    targets, numbers = torch.from_numpy(labels), np.unique(folds)
    for done, fold in enumerate(numbers, 1):
        others = torch.from_numpy(folds != fold)
        weight, bias = fit_head(features[others], targets[others], num_classes)
        held_out = features[~others]
        found[folds == fold] = F.linear(held_out, weight, bias).softmax(1).numpy()
        on_progress(done, len(numbers))
    return found


def fit_head(features: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Fit a softmax regression from zeros, so without randomness: weight [C, D] and bias [C]."""
    weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    penalty = PENALTY * float(features.square().sum(1).mean())
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=MAX_STEPS,
        history_size=10,
        tolerance_grad=1e-5,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        fit = F.cross_entropy(F.linear(features, weight, bias), targets)
        total: Tensor = fit + penalty / 2 * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
