"""What exported files say of their use, and what other programs' files say."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from alexnet.config.preprocessing import RESAMPLING, Preprocessing
from alexnet.config.serialization import to_json
from alexnet.inference.classifier import Classifier
from alexnet.interop.metadata import PROGRAM_LICENSE, Takes, file_metadata, read_metadata
from support.narrow_nets import CLASS_NAMES, narrow_classifier

OWN = Preprocessing(resize_size=40, crop_size=36, input_size=32, mean=(1, 2, 3.5), std=(4, 5, 6))
SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    own = narrow_classifier("cifar_quick")
    return replace(own, info=replace(own.info, preprocessing=OWN))


def test_every_value_is_json(classifier: Classifier) -> None:
    texts = file_metadata(classifier, takes="normalized", weights_license="CC0-1.0")
    values = {key.removeprefix("alexnet."): json.loads(text) for key, text in texts.items()}
    assert values == {
        "architecture": "cifar_quick",
        "class_names": list(CLASS_NAMES),
        "preprocessing": {
            "resize": "shortest_edge",
            "resize_size": 40,
            "padding": 0,
            "crop_size": 36,
            "input_size": 32,
            "channels": 3,
            "mean": [1, 2, 3.5],
            "std": [4, 5, 6],
            "has_mean_image": False,
        },
        "resampling": RESAMPLING,
        "input": {"values": "normalized", "steps": list(OWN.steps())},
        "temperature": 1.25,
        "license": {"program": "MIT", "weights": "CC0-1.0"},
    }


def test_the_programs_license_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["license"] == PROGRAM_LICENSE


@pytest.mark.parametrize("takes", get_args(Takes))
def test_out_and_back(classifier: Classifier, takes: Takes) -> None:
    texts = file_metadata(classifier, takes=takes)
    facts = read_metadata(texts, SHAPE, 7)
    assert (facts.class_names, facts.preprocessing) == (CLASS_NAMES, OWN)
    assert (facts.mean_image, facts.notes) == (None, [])


def test_a_temperature_out_and_back(classifier: Classifier) -> None:
    warm = replace(classifier, info=replace(classifier.info, temperature=1 / 3))
    texts = file_metadata(warm, takes="image")
    assert read_metadata(texts, SHAPE, 7).temperature == 1 / 3
    assert read_metadata({}, SHAPE, 7).temperature == 1


def test_a_mean_image_out_and_back(classifier: Classifier) -> None:
    mean = torch.rand(SHAPE)
    info = replace(classifier.info, preprocessing=replace(OWN, has_mean_image=True))
    other = replace(classifier, info=info, mean_image=mean)
    facts = read_metadata(file_metadata(other, takes="pixels"), SHAPE, 7)
    assert facts.mean_image is not None
    assert torch.equal(facts.mean_image, mean)


WITH_MEAN_IMAGE = to_json(replace(OWN, has_mean_image=True))
SHORT = json.dumps(base64.b64encode(np.zeros(5, "<f4").tobytes()).decode())


@pytest.mark.parametrize(
    ("texts", "note"),
    [
        ({"preprocessing": "{"}, "the file's preprocessing is not used: not JSON"),
        ({"preprocessing": "[]"}, "preprocessing must be an object"),
        ({"preprocessing": '{"resize": "nearest"}'}, "resize is 'nearest'; it can be"),
        ({"preprocessing": '{"std": [0, 1, 1]}'}, "std .* must be above 0"),
        ({"preprocessing": WITH_MEAN_IMAGE}, r"its mean image is not float32 \[3, 32, 32\]"),
        ({"preprocessing": WITH_MEAN_IMAGE, "mean_image": '"?"'}, "its mean image is not float32"),
        ({"preprocessing": WITH_MEAN_IMAGE, "mean_image": "7"}, "its mean image is not float32"),
        ({"preprocessing": WITH_MEAN_IMAGE, "mean_image": SHORT}, "its mean image is not float32"),
        (
            {"class_names": "7"},
            r"the file's class names \(alexnet.class_names\) are not used: they",
        ),
        ({"class_names": "[]"}, "they are no list of names"),
        ({"class_names": '["a", 7]'}, "they are no list of names"),
        ({"class_names": '["a", "b", "c"]'}, "they are 3, and the network has 2 outputs"),
        ({"class_names": '{"1": "a", "2": "b"}'}, "they are not numbered from 0"),
        (
            {"temperature": "0"},
            "the file's temperature is not used: 0 is no number from 0.01 to 100",
        ),
        ({"temperature": "1e-320"}, "temperature is not used: 1e-320 is no number"),
        ({"temperature": "-1.5"}, "-1.5 is no number from"),
        ({"temperature": "NaN"}, "nan is no number from"),
        ({"temperature": "Infinity"}, "inf is no number from"),
        ({"temperature": '"hot"'}, "'hot' is no number from"),
        ({"temperature": "true"}, "True is no number from"),
    ],
)
def test_what_cannot_be_used_is_noted(texts: dict[str, str], note: str) -> None:
    facts = read_metadata({f"alexnet.{key}": text for key, text in texts.items()}, SHAPE, 2)
    assert (facts.class_names, facts.preprocessing, facts.mean_image) == ((), None, None)
    assert facts.temperature == 1
    assert len(facts.notes) == 1
    assert re.search(note, facts.notes[0])


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("names", "{0: 'red', 1: \"o'neill\"}"),
        ("names", '{"0": "red", "1": "o\'neill"}'),
        ("names", "['red', \"o'neill\"]"),
        ("classes", '["red", "o\'neill"]'),
        ("labels", "red,o'neill"),
        ("labels", "red\no'neill\n"),
    ],
)
def test_class_names_of_other_programs(key: str, text: str) -> None:
    assert read_metadata({key: text}, SHAPE, 2).class_names == ("red", "o'neill")


@pytest.mark.parametrize(
    "text", ["see the readme", "(" * 100_000, "__import__('os').getcwd()", "{" * 9 + "}" * 9]
)
def test_other_texts_are_never_run(text: str) -> None:
    facts = read_metadata({"names": text}, SHAPE, 2)
    assert facts.class_names == ()
    assert len(facts.notes) == 1


def test_texts_without_a_license() -> None:
    for text in ("{", "[]", '{"weights": 7}', '{"weights": null}'):
        assert read_metadata({"alexnet.license": text}, SHAPE, 2).notes == []
