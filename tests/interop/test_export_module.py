"""A classifier as a plain module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.config.preprocessing import Preprocessing
from alexnet.data.images.decode import decode
from alexnet.inference.classifier import Classifier
from alexnet.interop.export_module import (
    FileOptions,
    Preprocess,
    network_module,
    torch_bytes,
    whole_module,
)
from alexnet.interop.parity import random_images
from alexnet.transforms.crops import center_crop
from support.narrow_nets import narrow_classifier

RULES: list[dict[str, Any]] = [
    {"resize_size": 40, "crop_size": 32, "mean": (120.5, 110, 90), "std": (50, 60.5, 70)},
    {"resize_size": 32, "crop_size": 32, "resize": "stretch", "std": (255, 255, 255)},
    {"resize_size": 41, "crop_size": 36, "input_size": 32, "channels": 1, "mean": (99, 0, 0)},
    {"resize_size": 20, "padding": 5, "crop_size": 24, "input_size": 32},
    {"resize_size": 36, "crop_size": 32, "has_mean_image": True, "std": (1, 2, 4)},
]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return narrow_classifier("cifar_quick")


def with_rule(classifier: Classifier, rule: dict[str, Any]) -> Classifier:
    preprocessing = Preprocessing(**rule)
    if preprocessing.channels == 1:
        classifier = narrow_classifier("lenet5")
    info = replace(classifier.info, preprocessing=preprocessing)
    mean = None
    if preprocessing.has_mean_image:
        mean = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    return replace(classifier, info=info, mean_image=mean, precision="float32")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "-".join(map(str, rule)))
def test_every_rule_of_a_preprocessing(classifier: Classifier, rule: dict[str, Any]) -> None:
    """As `decode` and `center_crop` do it; a value of 0 to 255 may be another one by 1."""
    other = with_rule(classifier, rule)
    own, module = other.info.preprocessing, Preprocess(other)
    for seed, (h, w) in enumerate([(60, 90), (33, 20), (1, 50)]):
        image = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
        pixels = decode(Image.fromarray(image), own.resize, own.resize_size)
        expected = center_crop(torch.from_numpy(pixels.copy())[None], own, other.mean_image)
        difference = (module(torch.from_numpy(image)) - expected).abs()
        assert difference.max() <= 1.001 / min(own.std)
        assert difference.mean() <= 0.01 / min(own.std)


def test_from_an_image_to_probabilities(classifier: Classifier) -> None:
    """The same as `predict` gives, with the temperature."""
    other = with_rule(classifier, RULES[0])
    image = random_images(classifier.network, 1)[0].transpose(1, 2, 0).astype(np.uint8)
    expected = other.predict(image, top=7)[0].top_classes
    with torch.no_grad():
        found = whole_module(other)(torch.from_numpy(image))
    for one in expected:
        index = other.class_names.index(one.label)
        assert float(found[index]) == pytest.approx(one.probability, abs=1e-4)


def test_the_network_alone(classifier: Classifier) -> None:
    images = torch.from_numpy(random_images(classifier.network, 2))
    module = network_module(classifier)
    assert torch.equal(module(images), classifier.network(images))
    assert not module.training


@pytest.mark.slow
def test_an_archive_takes_any_batch_size(classifier: Classifier) -> None:
    """The archive itself is what runs."""
    content, run, runtime = torch_bytes(classifier, FileOptions())
    assert content.startswith(b"PK")
    assert runtime == f"torch.export {torch.__version__}"
    for count in (1, 3):
        images = random_images(classifier.network, count)
        expected = classifier.network(torch.from_numpy(images)).detach().numpy()
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(run(images), expected, rtol=0, atol=tolerance)
