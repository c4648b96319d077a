"""`compare`: tables, JSON and files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.checkpoints.model_file import load_model, save_model
from alexnet.cli.compare import named_paths, seeds_text
from alexnet.config.recipe import Recipe
from alexnet.errors import UsageError
from alexnet.evaluation.seed_groups import group_by_seed
from alexnet.training.run_folder import RunFolder
from support.commands import Command

FILES = ["comparison.json", "learning_curves.png", "learning_curves.svg"]


@pytest.fixture
def other(own: RunFolder) -> RunFolder:
    """A run that differs in its recipe, and always predicts the first class."""
    weights, info, mean = load_model(own.model)
    changed = {name: tensor.clone() for name, tensor in weights.items()}
    changed["fc8.bias"][0] += 1000
    recipe = replace(info.recipe, epochs=5, seed=7)
    save_model(own.model, changed, replace(info, recipe=recipe), mean)
    return own


def test_two_runs(command: Command, trained: RunFolder, other: RunFolder, tmp_path: Path) -> None:
    result = command("compare", trained.path, other.path, "--out", tmp_path / "out")
    assert result.code == 0
    text = " ".join(result.out.split())
    assert "--epochs 3 5 --seed 0 7 flowers, test: 12 images" in text
    assert "own 11 91.7 % (64.6 to 98.5 %)" in text
    assert "McNemar's exact test; difference: Tango's interval" in text
    assert result.err.endswith(f"written   {tmp_path / 'out'}\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert written["models"][1]["num_wrong"] == 11


@pytest.mark.slow
def test_json_of_a_run_and_an_imported_file(
    command: Command, trained: RunFolder, tmp_path: Path, flowers: Path
) -> None:
    weights, info, mean = load_model(trained.model)
    path = tmp_path / "imported.safetensors"
    save_model(path, weights, replace(info, recipe=Recipe(data=""), manifest_hash=""), mean)
    words = ("compare", path, trained.path, "--data", flowers)
    facts = json.loads(command(*words, "--json").out)
    assert (facts["schema"], facts["split"], facts["num_images"]) == (1, "test", 12)
    (test,) = facts["tests"]
    assert (test["only_first_wrong"], test["only_this_wrong"], test["p_value"]) == (0, 0, 1.0)
    assert facts["recipe_changes"] == []
    assert (tmp_path / "compare-imported-tiny" / "learning_curves.png").exists()
    assert "imported was imported and has no recipe" in command(*words).out
    assert "names no data set; give one with --data" in command(*words[:3]).err


def test_names_are_short_unless_they_are_the_same(tmp_path: Path) -> None:
    for name in ("x/a", "y/a", "b"):
        (tmp_path / name).mkdir(parents=True)
    paths = [str(tmp_path / name) for name in ("x/a", "y/a", "b")]
    assert list(named_paths([paths[0], paths[2]])) == ["a", "b"]
    assert list(named_paths(paths)) == paths
    assert list(named_paths([f"{paths[0]}/model.safetensors", "c.v2.safetensors"])) == ["a", "c.v2"]
    with pytest.raises(UsageError, match="two runs or model files or more"):
        named_paths(paths[:1])
    with pytest.raises(UsageError, match="named twice"):
        named_paths([paths[0], f"{paths[0]}/"])


@pytest.mark.slow
def test_the_plot_is_beside_the_runs(command: Command, own: RunFolder, other: RunFolder) -> None:
    command("compare", own.path, own.model)
    assert (own.path.parent / "compare-own-model.safetensors" / "learning_curves.svg").exists()


def test_groups_of_seeds_as_text() -> None:
    runs = [("base", 0, 0.1), ("base", 1, 0.2), ("deep", 0, 0.2), ("deep", 1, 0.3)]
    epochs = {"base": 1, "deep": 2}
    recipes = {f"{n}-s{s}": Recipe(data="x", seed=s, epochs=epochs[n]) for n, s, _ in runs}
    text = seeds_text(group_by_seed(recipes, {f"{n}-s{s}": error for n, s, error in runs}))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "base 2 15.0 % (-48.5 to 78.5 %)" in lines
    assert "deep 2 25.0 % (-38.5 to 88.5 %) +10.0 (+10.0 to +10.0) pairs of the same seed" in lines
    assert lines[0] == "group seeds mean error (95 %) points to base (95 %) by"
