"""Folds, reduced features, and heads that judge images which they did not see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alexnet.label_errors import heads
from alexnet.label_errors.heads import fit_head, fold_of_images, out_of_fold, reduced_features


def test_every_class_is_spread_over_the_folds() -> None:
    labels = np.repeat([0, 1, 2], [10, 7, 1])
    folds = fold_of_images(labels, 5, seed=3)
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(folds, fold_of_images(labels, 5, seed=4))
    np.testing.assert_array_equal(folds, fold_of_images(labels, 5, seed=3))


def test_the_same_images_are_in_one_fold() -> None:
    labels = np.repeat([0, 1], 10)
    folds = fold_of_images(labels, 5, 0, [np.array([0, 3, 15])])
    assert folds[0] == folds[3] == folds[15]


def test_reduced_features_keep_the_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 200)).astype(np.float32)
    rows = np.arange(5, 60)
    found = reduced_features(features, rows).numpy()
    normalized = features[rows] / np.linalg.norm(features[rows], axis=1, keepdims=True)
    expected = np.linalg.norm(normalized[:, None] - normalized, axis=2)
    distances = np.linalg.norm(found[:, None] - found, axis=2)
    ratios = distances[expected > 0] / expected[expected > 0]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-3)
    assert (found**2).mean() == pytest.approx(1, rel=1e-3)
    monkeypatch.setattr(heads, "MAX_DIRECTIONS", 7)
    assert reduced_features(features, rows).shape == (55, 7)
    assert reduced_features(np.zeros((4, 3), np.float32), np.arange(4)).isfinite().all()


def test_a_head_is_the_minimum_of_its_loss() -> None:
    torch.manual_seed(0)
    features, targets = torch.randn(40, 6), torch.randint(0, 3, (40,))
    weight, bias = (one.requires_grad_() for one in fit_head(features, targets, 3))
    penalty = heads.PENALTY * features.square().sum(1).mean()
    loss = torch.nn.functional.cross_entropy(features @ weight.T + bias, targets)
    (loss + penalty / 2 * weight.square().sum()).backward()
    assert weight.grad is not None
    assert weight.grad.abs().max() < 1e-3


def test_no_head_judges_images_that_it_was_trained_on() -> None:
    """A class of one image cannot be predicted: the head that judges the image has not seen it."""
    features = torch.eye(8) * 3
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    folds = fold_of_images(labels, 4, 0)
    probabilities = out_of_fold(features, labels, folds, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert probabilities[7, 2] < 0.02
