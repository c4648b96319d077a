"""Files of an interrupted pretraining that are damaged or belong to something else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from alexnet.checkpoints.tensors import load_tensors, save_tensors
from alexnet.errors import ConfigError, ModelFileError, UsageError
from alexnet.parallel.world import ALONE
from alexnet.pretraining.pretrainer import Pretrained, resume_pretraining
from alexnet.pretraining.processes import create_folder
from alexnet.pretraining.recipe import (
    AutoencoderRecipe,
    RbmRecipe,
    read_pretrain_recipe,
    recipe_to_json,
)
from alexnet.pretraining.run_files import (
    LayersInfo,
    check_recipe,
    decisive_options,
    layers_file,
    read_records,
)
from alexnet.training import run_folder
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
@pytest.mark.parametrize("option", ["seed", "store_format", "arch"])
def test_a_recipe_that_has_changed(unfinished: RunFolder, option: str) -> None:
    recipe = read_pretrain_recipe(unfinished.config)
    other, flag = {
        "seed": (replace(recipe, seed=1), "--seed was 0"),
        "store_format": (
            replace(recipe, data_options=replace(recipe.data_options, store_format="jpeg")),
            "--store-format was pixels",
        ),
        "arch": (replace(recipe, arch="lenet5"), f"--arch was {recipe.arch}"),
    }[option]
    unfinished.config.write_text(recipe_to_json(other))
    message = rf"config\.json has changed since .* \({flag}\): restore it, or start"
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


def test_a_folder_is_whole_or_absent_and_no_two_have_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes number 1 after it was chosen, and then the disk is full."""
    monkeypatch.chdir(tmp_path)
    setup: Any = SimpleNamespace(recipe=RbmRecipe(), device=torch.device("cpu"), world=ALONE)
    free, theirs = run_folder.free_run_path, Path("runs/custom-rbm-001")

    def slow(parent: Path, name: str) -> Path:
        path = free(parent, name)
        theirs.mkdir(parents=True, exist_ok=True)
        return path

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "free_run_path", slow)
        folder = create_folder(setup, None)
    assert folder.path == Path("runs/custom-rbm-002")
    assert read_pretrain_recipe(folder.config) == setup.recipe
    assert not list(theirs.iterdir())

    def full(target: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(run_folder, "write_text", full)
    for out in (None, Path("own")):
        with pytest.raises(UsageError, match=r"cannot create the folder .*: No space left"):
            create_folder(setup, out)
    assert sorted(path.name for path in Path("runs").iterdir()) == [theirs.name, folder.path.name]
    assert not Path("own").exists()
