"""Files of an interrupted pretraining that are damaged or belong to something else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet.checkpoints.tensors import load_tensors, save_tensors
from alexnet.errors import ConfigError, ModelFileError, UsageError
from alexnet.pretraining.pretrainer import Pretrained, resume_pretraining
from alexnet.pretraining.recipe import (
    AutoencoderRecipe,
    RbmRecipe,
    read_pretrain_recipe,
    recipe_to_json,
)
from alexnet.pretraining.run_files import (
    LayersInfo,
    check_recipe,
    create_run_folder,
    decisive_options,
    layers_file,
    read_records,
)
from alexnet.runtime.environment import describe_environment
from alexnet.training.run_folder import RunFolder


@pytest.fixture
def unfinished(finished: Pretrained, tmp_path: Path) -> RunFolder:
    """A copy of a finished run that looks as if it was interrupted before its result."""
    folder = RunFolder(Path(shutil.copytree(finished.folder.path, tmp_path / "own")))
    folder.result.unlink()
    return folder


@pytest.mark.usefixtures("with_store")
def test_damaged_layers(unfinished: RunFolder) -> None:
    layers = layers_file(unfinished)
    layers.write_bytes(layers.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"layers\.safetensors"):
        resume_pretraining(unfinished.path)


@pytest.mark.usefixtures("with_store")
def test_layers_of_another_architecture(unfinished: RunFolder) -> None:
    recipe = read_pretrain_recipe(unfinished.config)
    other = replace(recipe, model=replace(recipe.model, width=0.1))
    unfinished.config.write_text(recipe_to_json(other))
    tensors, info = load_tensors(layers_file(unfinished), LayersInfo)
    save_tensors(layers_file(unfinished), tensors, replace(info, recipe=""))  # an earlier version's
    with pytest.raises(ModelFileError, match="belongs to another architecture"):
        resume_pretraining(unfinished.path)
    unfinished.config.write_text(recipe_to_json(replace(recipe, up_to="conv1")))
    with pytest.raises(ModelFileError, match="holds conv1, conv2, not conv1"):
        resume_pretraining(unfinished.path)


@pytest.mark.usefixtures("with_store")
def test_a_recipe_that_has_changed(unfinished: RunFolder) -> None:
    recipe = read_pretrain_recipe(unfinished.config)
    unfinished.config.write_text(recipe_to_json(replace(recipe, seed=1)))
    message = r"config\.json has changed since .* \(--seed was 0\): restore it, or start"
    with pytest.raises(ConfigError, match=message):
        resume_pretraining(unfinished.path)


def test_what_may_change_in_a_recipe() -> None:
    recipe, folder = RbmRecipe(), RunFolder(Path("run"))
    saved = decisive_options(recipe)
    kept = replace(recipe, name="other", device="cpu", devices=2, data="moved", up_to="conv1")
    check_recipe(folder, kept, saved)
    options = replace(recipe.data_options, val_fraction=0.2)
    for other, message in (
        (replace(recipe, binary_lr=0.1), "--binary-lr was 0.05"),
        (replace(recipe, data_options=options), "--val-fraction was 0.1"),
        (AutoencoderRecipe(), "--.* was "),
    ):
        with pytest.raises(ConfigError, match=message):
            check_recipe(folder, other, saved)


def test_changed_images(unfinished: RunFolder, flowers: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(flowers, tmp_path / "data"))
    next((data / "train").rglob("*.jpg")).unlink()
    recipe = replace(read_pretrain_recipe(unfinished.config), data=str(data))
    unfinished.config.write_text(recipe_to_json(recipe))
    with pytest.raises(ModelFileError, match="the images of data have changed"):
        resume_pretraining(unfinished.path)


def test_an_incomplete_last_line_is_skipped(unfinished: RunFolder) -> None:
    records = read_records(unfinished)
    text = unfinished.metrics.read_text()
    unfinished.metrics.write_text(text[:-5])
    assert read_records(unfinished) == records[:-1]
    unfinished.metrics.unlink()
    assert read_records(unfinished) == []


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = describe_environment(torch.device("cpu"))
    with pytest.raises(UsageError, match="cannot create the folder"):
        create_run_folder(tmp_path / "file" / "run", RbmRecipe(), environment)
