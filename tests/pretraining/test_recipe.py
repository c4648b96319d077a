"""The options of a pretraining: from a training's recipe, to JSON and back, and out of range."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.augmentation import Augmentation
from alexnet.config.presets import PRESETS
from alexnet.errors import ConfigError, UsageError
from alexnet.pretraining.recipe import (
    KINDS,
    AutoencoderRecipe,
    PretrainRecipe,
    RbmRecipe,
    read_pretrain_recipe,
    recipe_to_json,
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PRESETS)
def test_a_pretraining_from_every_preset(kind: str, name: str, tmp_path: Path) -> None:
    training, recipe = PRESETS[name], KINDS[kind].from_recipe(PRESETS[name])
    assert (recipe.arch, recipe.model) == (training.arch, training.model)
    assert recipe.augment == replace(training.augment, cutmix=0)
    assert replace(recipe.data_options, val_fraction=0) == replace(
        training.data_options, val_fraction=0
    )
    assert recipe.data_options.val_fraction > 0
    (tmp_path / "config.json").write_text(recipe_to_json(recipe))
    assert read_pretrain_recipe(tmp_path) == recipe


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (AutoencoderRecipe, {"masking_fraction": 1.0}, "--masking-fraction 1.0 must be from 0 to"),
        (AutoencoderRecipe, {"masking_fraction": -0.1}, "--masking-fraction -0.1"),
        (AutoencoderRecipe, {"lr": -1.0}, "--lr -1 "),
        (AutoencoderRecipe, {"lr": 0.0}, "--lr 0 "),
        (AutoencoderRecipe, {"lr": float("nan")}, "--lr is nan"),
        (AutoencoderRecipe, {"epochs": 0}, "--epochs 0"),
        (AutoencoderRecipe, {"probe_images": 0}, "--probe-images 0"),
        (RbmRecipe, {"cd_steps": 0}, "--cd-steps 0 must be at least 1"),
        (RbmRecipe, {"sparsity_target": 1.0}, "--sparsity-target 1.0"),
        (RbmRecipe, {"sparsity_cost": -1.0}, "--sparsity-cost -1.0"),
        (RbmRecipe, {"gaussian_lr": -1.0}, "--gaussian-lr -1 "),
        (RbmRecipe, {"binary_lr": 0.0}, "--binary-lr 0 "),
        (RbmRecipe, {"momentum": 1.0}, "--momentum 1.0"),
        (RbmRecipe, {"visible_std": 0.0}, "--visible-std 0.0"),
        (RbmRecipe, {"seed": -1}, "--seed -1"),
        (RbmRecipe, {"augment": Augmentation(cutmix=0.5)}, "--cutmix 0.5 mixes labels"),
    ],
)
def test_values_out_of_range(
    kind: type[PretrainRecipe], values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        kind(**values)  # type: ignore[arg-type]


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(UsageError, match="cannot read"):
        read_pretrain_recipe(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_pretrain_recipe(path)
    path.write_text('{"kind": "gan"}')
    with pytest.raises(ConfigError, match="its kind is 'gan', not autoencoder or rbm"):
        read_pretrain_recipe(path)
