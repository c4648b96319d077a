"""A model file's network and preprocessing in the words of a recipe."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from alexnet.config.model_recipe import model_note, recipe_of_model
from alexnet.config.preprocessing import IMAGENET_MEAN, IMAGENET_STD, MEANS, SCALES, Preprocessing
from alexnet.config.presets import PRESETS, preset
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO, architecture
from alexnet.transforms.statistics import preprocessing_for

PLACEHOLDER = Recipe(name="imported", data="", arch="alexnet_owt")


def network(recipe: Recipe, num_classes: int = 7) -> Architecture:
    return variant(architecture(recipe.arch), recipe.model, num_classes=num_classes)


@pytest.mark.parametrize("name", PRESETS)
def test_a_run_has_said_it_all(name: str) -> None:
    """Also where the mean of its images is that of ImageNet by accident."""
    recipe = PRESETS[name]
    options = recipe.data_options
    mean, std = MEANS.get(options.mean, (124, 116, 103)), SCALES.get(options.scale, (58, 57, 57))
    found = preprocessing_for(network(recipe), options, mean, std)
    assert recipe_of_model(recipe, network(recipe), found) == recipe
    assert model_note("x", recipe, recipe, found) == ""


@pytest.mark.parametrize(
    "model",
    [
        ModelOptions(),
        ModelOptions(width=0.25),
        ModelOptions(width=0.05, input_size=131, channels=1),
    ],
)
@pytest.mark.parametrize("base", ["alexnet_owt", "caffenet", "alexnet_bn"])
def test_a_variant_of_a_published_network_has_its_name(base: str, model: ModelOptions) -> None:
    arch = variant(ZOO[base], model, num_classes=7)
    found = recipe_of_model(PLACEHOLDER, arch, Preprocessing(crop_size=arch.input[1]))
    assert found.arch == base
    assert network(found) == arch


def test_another_network_is_a_table() -> None:
    arch = ZOO["alexnet_owt"]
    layers = tuple(replace(x, channels=48) if x.name == "conv3" else x for x in arch.layers)
    assert isinstance(layers[6], Conv)
    other = replace(arch, layers=layers)
    found = recipe_of_model(PLACEHOLDER, other, Preprocessing(crop_size=224))
    assert (found.arch, found.model) == (other, ModelOptions())
    own = replace(other, name="mine")
    found = recipe_of_model(replace(PLACEHOLDER, arch=own), own, Preprocessing(crop_size=224))
    assert found.arch == own


@pytest.mark.parametrize(
    ("preprocessing", "options"),
    [
        (Preprocessing(crop_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD),
         DataOptions(mean="imagenet", scale="imagenet")),
        (Preprocessing(resize="stretch", resize_size=224, crop_size=224, std=(255, 255, 255)),
         DataOptions(resize="stretch", resize_size=224, mean="none", scale="unit")),
        (Preprocessing(resize_size=160, padding=4, crop_size=140, input_size=224),
         DataOptions(resize_size=160, padding=4, crop_size=140, mean="none", scale="pixels")),
        (Preprocessing(crop_size=224, std=(1.1, 1.1, 1.1)),
         DataOptions(mean="none", scale="code2012")),
    ],
)  # fmt: skip
def test_fixed_numbers_have_words(preprocessing: Preprocessing, options: DataOptions) -> None:
    found = recipe_of_model(PLACEHOLDER, ZOO["alexnet_owt"], preprocessing)
    assert found.data_options == options
    assert model_note("x", found, found, preprocessing) == ""
    mean, std = MEANS[options.mean], SCALES[options.scale]
    assert preprocessing_for(ZOO["alexnet_owt"], options, mean, std) == preprocessing


@pytest.mark.parametrize(
    ("preprocessing", "words", "note"),
    [
        (Preprocessing(crop_size=224, mean=(123.68, 116.779, 103.939)),
         ("imagenet", "pixels"),
         r"^x\.pth normalizes an image by minus \(123\.68, 116\.779, 103\.939\) and divided by "
         r"\(1, 1, 1\), which no recipe can say; --mean imagenet --scale pixels come nearest$"),
        (Preprocessing(crop_size=224, mean=(127.5,) * 3, std=(127.5,) * 3),
         ("rgb", "std"),
         r"--mean rgb --scale std of the new training images come nearest$"),
        (Preprocessing(crop_size=224, has_mean_image=True), ("image", "pixels"),
         r"minus the mean image and .* --mean image --scale pixels of the new training images"),
        (Preprocessing(crop_size=224, channels=1, has_mean_image=True), ("rgb", "pixels"),
         r"minus the mean image and divided by \(1\), which"),
    ],
)  # fmt: skip
def test_what_no_word_says_is_told(
    preprocessing: Preprocessing, words: tuple[str, str], note: str
) -> None:
    found = recipe_of_model(PLACEHOLDER, ZOO["alexnet_owt"], preprocessing)
    assert (found.data_options.mean, found.data_options.scale) == words
    assert re.search(note, model_note("x.pth", found, found, preprocessing))
    others = replace(found, data_options=replace(found.data_options, mean="none"))
    assert model_note("x.pth", others, found, preprocessing) == "", "the user has chosen"


def test_other_options_stay() -> None:
    recipe = preset("flowers17", test_fraction=0.3)
    found = recipe_of_model(replace(recipe, data=""), network(recipe), Preprocessing(crop_size=128))
    assert found.data_options.test_fraction == 0.3
    assert found.augment == recipe.augment
