"""What runs and files are: finished, unfinished and damaged runs, models, checkpoints, layers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alexnet.checkpoints.model_file import ModelInfo, load_model, save_model
from alexnet.checkpoints.pretrained_layers import PretrainedInfo
from alexnet.checkpoints.tensors import save_tensors
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.errors import ModelFileError
from alexnet.training.describe import describe
from alexnet.training.run_folder import RunFolder
from support.run_folders import write_run
from support.runs import cut_off


def test_a_finished_run(trained: RunFolder, tiny: Recipe) -> None:
    description = describe(trained.path)
    assert description.run is not None
    assert description.run.state == "finished"
    assert (description.file_problem, description.environment["alexnet"]) == ("", "0.1.0")
    file = description.file
    assert file is not None
    assert (file.kind, file.path, file.recipe) == ("model", trained.model, tiny)
    assert file.size_bytes == trained.model.stat().st_size
    assert len(file.class_names) == 12
    assert file.scores.test_top1_error == description.run.test_error
    weights, info, _ = load_model(trained.model)
    assert file.architecture == info.architecture
    assert file.parameters == sum(t.numel() for n, t in weights.items() if "num_batches" not in n)
    assert describe(trained.model).file == file


def test_an_unfinished_run_and_its_checkpoint(small: Recipe, small_place: RunFolder) -> None:
    cut_off(small, small_place.path, 6)
    description = describe(small_place.path)
    assert description.run is not None
    assert (description.run.state, description.run.checkpoint_step) == ("unfinished", 4)
    file = describe(small_place.checkpoint(4)).file
    assert file is not None
    assert (file.kind, file.recipe) == ("checkpoint", small)
    assert file.position == "after step 4, 0 finished epochs"
    model = describe(small_place.model).file
    assert model is not None
    assert file.parameters == model.parameters
    small_place.model.unlink()
    assert describe(small_place.path).file == file


def test_pretrained_layers(trained: RunFolder, tmp_path: Path) -> None:
    weights, info, _ = load_model(trained.model)
    header = PretrainedInfo(
        pretrained=("conv1", "conv2"), kind="rbm", architecture=info.architecture,
        preprocessing=info.preprocessing, manifest_hash="", data_options=DataOptions(), seed=0,
    )  # fmt: skip
    save_tensors(tmp_path / "layers.safetensors", weights, header)
    file = describe(tmp_path / "layers.safetensors").file
    assert file is not None
    assert (file.kind, file.position) == ("pretrained layers", "conv1, conv2 (rbm)")
    assert (file.recipe, file.scores.epoch) == (None, 0)


def test_an_imported_model_has_no_recipe(trained: RunFolder, tmp_path: Path) -> None:
    weights, info, _ = load_model(trained.model)
    imported = ModelInfo(
        architecture=info.architecture, class_names=info.class_names,
        preprocessing=info.preprocessing, recipe=Recipe(data=""),
    )  # fmt: skip
    save_model(tmp_path / "a.safetensors", weights, imported)
    file = describe(tmp_path / "a.safetensors").file
    assert file is not None
    assert file.recipe is None


def test_damage_in_a_run_is_told_and_in_a_file_an_error(own: RunFolder) -> None:
    own.model.write_bytes(own.model.read_bytes()[:-9])
    own.result.write_text("{")
    description = describe(own.path)
    assert description.run is not None
    assert (description.run.state, description.file) == ("damaged", None)
    assert "is incomplete or damaged" in description.file_problem
    with pytest.raises(ModelFileError, match="is incomplete or damaged"):
        describe(own.model)


def test_what_is_no_run_and_no_file_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is a folder without a run"):
        describe(tmp_path)
    with pytest.raises(ModelFileError, match="there is no file"):
        describe(tmp_path / "a.safetensors")
    (tmp_path / "a.pth").write_text("x")
    with pytest.raises(ModelFileError, match="but a text file"):
        describe(tmp_path / "a.pth")
    empty = describe(write_run(tmp_path / "run").path)
    assert (empty.file, empty.file_problem, empty.environment) == (None, "", {})
    shutil.rmtree(tmp_path / "run")
