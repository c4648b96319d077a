"""Rounded files on real images: which images, and how agreement is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config.recipe import Recipe
from alexnet.errors import DataError, ModelFileError, UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.agreement import measure_agreement, network_inputs
from alexnet.interop.parity import torch_runner
from alexnet.interop.real_images import RealImages, load_real_images
from support.narrow_nets import narrow_classifier


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return narrow_classifier("lenet5")


@pytest.fixture(scope="module")
def images() -> RealImages:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    return RealImages("photos", pixels[:2], pixels[2:])


def test_a_file_that_computes_the_same(classifier: Classifier, images: RealImages) -> None:
    run = torch_runner(classifier.network)
    found = measure_agreement(classifier, run, images, "float16", is_whole=False)
    assert (found.num_images, found.num_same_top1, found.top1_agreement) == (4, 4, 1)
    assert found.max_probability_difference < 1e-6
    assert "on 4 of 4 images (100.00 %; photos)" in found.summary()


def test_a_whole_file_that_is_wrong_once(classifier: Classifier, images: RealImages) -> None:
    expected = replace(classifier, precision="float32").probabilities(images.compared)
    answers = expected.copy()
    best = expected[3].argmax()
    answers[3, best] -= 0.5
    left = iter(answers)
    found = measure_agreement(classifier, lambda _: next(left), images, "int8", is_whole=True)
    assert (found.num_same_top1, found.top1_agreement) == (3, 0.75)
    assert found.max_probability_difference == pytest.approx(0.5)
    better = replace(found, max_probability_difference=0.1)
    assert better.rank > found.rank
    assert replace(found, num_same_top1=4, max_probability_difference=0.9).rank > better.rank


def test_values_that_are_not_finite_are_an_error(
    classifier: Classifier, images: RealImages
) -> None:
    def run(batch: np.ndarray) -> np.ndarray:
        return np.full((len(batch), 7), np.nan, np.float32)

    with pytest.raises(ModelFileError, match="in float16, the file gives values that are not fin"):
        measure_agreement(classifier, run, images, "float16", is_whole=False)


def test_inputs_are_normalized_in_batches(classifier: Classifier) -> None:
    pixels = np.full((40, 32, 32, 3), 255, np.uint8)
    batches = list(network_inputs(classifier, pixels))
    assert [batch.shape for batch in batches] == [(32, 1, 32, 32), (8, 1, 32, 32)]
    np.testing.assert_allclose(batches[0], 1, rtol=1e-6)


def write_images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for i in range(count):
        Image.new("RGB", (40, 40), (10 * i, 0, 0)).save(folder / f"{i}.png")
    return folder


def test_halves_of_a_folder_without_labels(classifier: Classifier, tmp_path: Path) -> None:
    found = load_real_images(classifier, str(write_images(tmp_path / "photos", 5)))
    reds = [part[:, 0, 0, 0].tolist() for part in (found.calibration, found.compared)]
    assert [len(part) for part in reds] == [2, 3]
    assert sorted([*reds[0], *reds[1]]) == [0, 10, 20, 30, 40]
    assert found.name == "photos"


@pytest.mark.slow
def test_the_splits_of_the_training(classifier: Classifier, flowers: Path) -> None:
    recipe = Recipe(arch="lenet5", data=str(flowers))
    own = replace(classifier, info=replace(classifier.info, recipe=recipe))
    found = load_real_images(own)
    assert (len(found.calibration), len(found.compared)) == (36, 12)
    assert found.name == "flowers, test split"


def test_without_images(classifier: Classifier, tmp_path: Path) -> None:
    imported = replace(classifier, info=replace(classifier.info, recipe=Recipe(data="")))
    with pytest.raises(UsageError, match="this model names none; give some with --data FOLDER"):
        load_real_images(imported)
    with pytest.raises(DataError, match="has 1 images; at least 2 are needed"):
        load_real_images(classifier, str(write_images(tmp_path / "one", 1)))
