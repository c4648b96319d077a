"""A classifier's network as a plain module."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet.config.preprocessing import Preprocessing
from alexnet.inference.classifier import Classifier
from alexnet.interop.export_module import Normalize, export_module, torch_bytes
from alexnet.interop.parity import random_images
from support.narrow_nets import narrow_classifier


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return narrow_classifier("cifar_quick")


def with_mean_image(classifier: Classifier) -> Classifier:
    preprocessing = Preprocessing(resize_size=32, crop_size=32, std=(1, 2, 4), has_mean_image=True)
    mean = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    info = replace(classifier.info, preprocessing=preprocessing)
    return replace(classifier, info=info, mean_image=mean)


def test_normalize_by_hand(classifier: Classifier) -> None:
    preprocessing = replace(classifier.info.preprocessing, mean=(10, 20, 30), std=(1, 2, 4))
    other = replace(classifier, info=replace(classifier.info, preprocessing=preprocessing))
    normalized = Normalize(other)(torch.full((2, 3, 1, 1), 50.0))
    assert normalized.flatten().tolist() == [40, 15, 5] * 2


def test_normalize_with_a_mean_image(classifier: Classifier) -> None:
    other = with_mean_image(classifier)
    assert other.mean_image is not None
    images = torch.full((1, 3, 32, 32), 50.0)
    expected = (images - other.mean_image) / torch.tensor([1.0, 2, 4])[:, None, None]
    assert torch.equal(Normalize(other)(images), expected)


def test_the_module_computes_what_the_network_does(classifier: Classifier) -> None:
    images = torch.from_numpy(random_images(classifier.network, 2))
    module = export_module(classifier, with_preprocessing=False, for_onnx=False)
    assert torch.equal(module(images), classifier.network(images))
    module = export_module(classifier, with_preprocessing=True, for_onnx=False)
    assert torch.equal(module(images), classifier.network(images / 255))
    assert not module.training


def test_an_archive_with_a_mean_image_inside(classifier: Classifier) -> None:
    """Any batch size, and the archive itself is what runs."""
    other = with_mean_image(classifier)
    module = export_module(other, with_preprocessing=True, for_onnx=False)
    content, run, runtime = torch_bytes(module, (3, 32, 32))
    assert content.startswith(b"PK")
    assert runtime == f"torch.export {torch.__version__}"
    for count in (1, 3):
        images = random_images(classifier.network, count)
        expected = module(torch.from_numpy(images)).detach().numpy()
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(run(images), expected, rtol=0, atol=tolerance)
