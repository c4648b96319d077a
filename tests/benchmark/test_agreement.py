"""How often two networks predict the same class."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.benchmark.agreement import benchmark_agreement
from alexnet.errors import DataError
from alexnet.inference.classifier import Classifier
from support.narrow_nets import narrow_classifier


class OptimizedTo(Classifier):
    """A classifier whose optimized form always prefers class 5."""

    def optimized(self, **options: Any) -> Classifier:
        other = replace(self, network=copy.deepcopy(self.network), precision="float32")
        with torch.no_grad():
            bias = [p for name, p in other.network.named_parameters() if name.endswith("bias")][-1]
            bias[5] += 100
        return other


@pytest.mark.parametrize("batch_size", [1, 3])
def test_different_classes_are_counted(batch_size: int) -> None:
    plain = narrow_classifier("cifar_quick")
    classifier = OptimizedTo(plain.network, plain.info)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    store: Any = SimpleNamespace(images=lambda indices: images[indices])
    indices = np.array([0, 2, 3])
    found = benchmark_agreement(classifier, store, indices, batch_size)
    top1 = replace(plain, precision="float32").probabilities(images[indices]).argmax(1)
    assert found.num_agreeing == (top1 == 5).sum() < 3
    assert found.top1_agreement == found.num_agreeing / 3
    assert found.max_probability_difference > 0.5
    assert (found.num_images, found.batch_size) == (3, batch_size)


def test_no_images() -> None:
    store: Any = None
    with pytest.raises(DataError, match="no images"):
        benchmark_agreement(narrow_classifier("cifar_quick"), store, np.array([], int))
