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


def preferring(plain: Classifier, label: int) -> Classifier:
    """A classifier whose optimized form predicts the same class for every image."""

    class Preferring(Classifier):
        def optimized(self, **options: Any) -> Classifier:
            other = replace(self, network=copy.deepcopy(self.network), precision="float32")
            names = [name for name, _ in other.network.named_parameters()]
            with torch.no_grad():
                other.network.get_parameter(names[-1])[label] += 1000
            return other

    return Preferring(plain.network, plain.info)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_images_of_the_same_class_are_counted(batch_size: int) -> None:
    plain = narrow_classifier("cifar_quick")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (20, 32, 32, 3), np.uint8)
    images[:10] //= 8
    top1 = replace(plain, precision="float32").probabilities(images).argmax(1)
    (other,) = np.flatnonzero(top1 != top1[0])[:1]
    indices = np.array([0, 0, other])
    store: Any = SimpleNamespace(images=lambda indices: images[indices])
    classifier = preferring(plain, int(top1[0]))
    found = benchmark_agreement(classifier, store, indices, batch_size)
    assert found.num_agreeing == 2
    assert found.top1_agreement == 2 / 3
    assert found.max_probability_difference > 0.5
    assert (found.num_images, found.batch_size) == (3, batch_size)


def test_no_images() -> None:
    store: Any = None
    with pytest.raises(DataError, match="no images"):
        benchmark_agreement(narrow_classifier("cifar_quick"), store, np.array([], int))
