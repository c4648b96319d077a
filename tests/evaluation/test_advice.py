"""What an evaluation leaves uncertain, at the borders."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.evaluation.advice import crops_advice, evaluation_advice, temperature_advice
from alexnet.evaluation.results import Evaluation, compute_metrics
from alexnet.inference.classifier import Classifier
from alexnet.inference.predictor import Crops
from alexnet.models.network import Network
from alexnet.models.zoo import architecture
from alexnet.transforms.statistics import preprocessing_for


def evaluated(*counts: int, num_wrong: int = 0) -> Evaluation:
    """An evaluation of so many images of each class; of the last, the first ones are wrong."""
    labels = np.repeat(np.arange(len(counts)), counts)
    predicted = labels.copy()
    predicted[len(labels) - counts[-1] :][:num_wrong] = 0
    probabilities = np.eye(len(counts), dtype=np.float32)[predicted]
    names = tuple("abcdef"[: len(counts)])
    return compute_metrics(probabilities, labels, names, split="test")


@pytest.mark.parametrize(("count", "is_said"), [(14, True), (15, False)])
def test_fewer_than_30_images(count: int, is_said: bool) -> None:
    told = evaluation_advice(evaluated(15, count))
    assert told == (
        ["29 images tell little, each is 3.4 points of the error: evaluate on more (--data FOLDER)"]
        if is_said
        else []
    )


@pytest.mark.parametrize(("count", "who"), [(60, "these images"), (36, "36 of these 60 images")])
def test_images_that_were_trained_on(count: int, who: str) -> None:
    (told,) = evaluation_advice(replace(evaluated(30, 30), num_trained_on=count))
    assert told.startswith(f"{who} were trained on: the error tells how well they were learnt")
    for split, way_out in (("train", "--split val or --split test"), ("test", ".* with --data")):
        known = replace(evaluated(30, 30), split=split, num_trained_on=count)
        assert re.search(f"for that evaluate {way_out}$", evaluation_advice(known)[0])


def test_a_rare_class() -> None:
    (told,) = evaluation_advice(evaluated(30, 30, 4))
    assert told.startswith("1 class has fewer than 5 test images (c 4): its recall")


def test_imbalance_tells_the_mean_recall() -> None:
    """Recalls of 1 and 3/6."""
    (told,) = evaluation_advice(evaluated(61, 6, num_wrong=3))
    assert told == (
        "a has 61 images and b 6, 10 times fewer, so the error is mostly that of large classes: "
        "the mean recall of the classes is 75.0 %"
    )
    assert evaluation_advice(evaluated(60, 6)) == []


@pytest.mark.parametrize(
    ("stored", "padding", "crops", "is_told"),
    [
        (32, 0, 10, True),
        (28, 2, 10, True),
        (33, 0, 10, False),
        (32, 4, 10, False),
        (32, 0, 1, False),
    ],
)
def test_ten_crops_of_images_without_a_margin_are_two(
    stored: int, padding: int, crops: Crops, is_told: bool
) -> None:
    options = DataOptions(resize_size=stored, padding=padding)
    arch = architecture("lenet5")
    preprocessing = preprocessing_for(arch, options)
    info = ModelInfo(
        architecture=arch,
        class_names=tuple("0123456789"),
        preprocessing=preprocessing,
        recipe=Recipe(),
    )
    assert bool(crops_advice(Classifier(Network(arch), info), crops)) == is_told


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_that_makes_the_calibration_worse(temperature: float) -> None:
    """All of 60 images are right with a probability of 0.9 before the temperature."""
    logits = np.log(np.tile([0.9, 0.1], (60, 1))) / temperature
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = compute_metrics(
        probabilities, np.zeros(60, np.int64), ("a", "b"), temperature=temperature
    )
    told = [line for line in evaluation_advice(found) if "temperature" in line]
    assert bool(told) == (temperature > 1)
    if told:
        assert "the temperature of 2 makes the calibration error of these images higher" in told[0]
        assert "25.00 % instead of 10.00 %" in told[0]


@pytest.mark.parametrize(
    ("num_images", "is_told"), [(0, False), (1, True), (49, True), (50, False)]
)
def test_a_temperature_fitted_on_few_images(num_images: int, is_told: bool) -> None:
    told = temperature_advice(num_images)
    assert bool(told) == is_told
    if is_told:
        assert f"fitted on {num_images} image" in told
