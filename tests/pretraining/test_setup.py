"""What a pretraining is set up from: probe images, seeds, and recipes that are rejected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError
from alexnet.pretraining.recipe import PretrainRecipe
from alexnet.pretraining.records import NullPretrainReporter
from alexnet.pretraining.setup import PretrainingSetup, set_up_pretraining
from support.pretraining import small_recipe


def set_up(recipe: PretrainRecipe) -> PretrainingSetup:
    return set_up_pretraining(recipe, NullPretrainReporter())


@pytest.mark.usefixtures("with_store")
def test_probe_images_are_evenly_spaced_center_crops(training: Recipe) -> None:
    setup = set_up(replace(small_recipe("rbm", training), probe_images=3))
    (probe,) = setup.probe_batches(np.arange(36))
    expected = setup.center_crops(setup.store.images(np.array([0, 18, 35])))
    assert torch.equal(probe, expected)
    assert setup.probe_batches(np.arange(0)) == []


@pytest.mark.usefixtures("with_store")
def test_augmentation_depends_on_seed_layer_and_step(training: Recipe) -> None:
    setup = set_up(small_recipe("rbm", training))
    pixels = setup.store.images(np.arange(2))
    first = setup.augment(pixels, "conv1", 4, 2)
    assert torch.equal(first, setup.augment(pixels, "conv1", 4, 2))
    assert not torch.equal(first, setup.augment(pixels, "conv2", 4, 2))
    assert not torch.equal(first, setup.augment(pixels, "conv1", 5, 2))
    other = set_up(replace(small_recipe("rbm", training), seed=1))
    assert not torch.equal(first, other.augment(pixels, "conv1", 4, 2))


@pytest.mark.usefixtures("with_store")
def test_the_network_ends_with_the_last_stage(training: Recipe) -> None:
    setup = set_up(small_recipe("autoencoder", training))
    assert [stage.name for stage in setup.stages] == ["conv1", "conv2"]
    assert setup.network.architecture.layers[-1].name == setup.stages[-1].last
    assert setup.total_steps == 2 * 2 * 3
    assert setup.split_seed == 0


def test_a_batch_of_one_image_is_rejected_where_a_batch_norm_needs_two(training: Recipe) -> None:
    one_image = replace(small_recipe("autoencoder", training), batch_size=1)
    with pytest.raises(ConfigError, match="needs at least 2"):
        set_up(one_image)
