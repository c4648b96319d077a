"""A user's own folder: no training image is evaluated, however the folder is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import alexnet
from alexnet.config.recipe import Recipe
from support.commands import Command


@pytest.fixture
def photos(flowers: Path, tmp_path: Path) -> Path:
    """Class folders without a split, 3 images a class."""
    return Path(shutil.copytree(flowers / "train", tmp_path / "photos"))


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_a_folder_named_in_python_is_recognized_from_anywhere(
    command: Command, tiny: Recipe, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data_options = replace(tiny.data_options, test_fraction=0.34)
    run = alexnet.train(
        replace(tiny, data="photos", data_options=data_options, epochs=1), out="run"
    )
    assert json.loads(run.folder.config.read_text())["data"] == str(photos)
    for words in ([], ["--data", "photos/"], ["--data", photos]):
        facts = json.loads(command("evaluate", "run", "--json", *words).out)
        assert (facts["split"], facts["num_images"]) == ("test", 12)
    classifier = alexnet.load("run")
    assert alexnet.evaluate(classifier).num_images == 12
    assert alexnet.evaluate(classifier, "photos", split="all").num_images == 36
    assert alexnet.evaluate(classifier).top1_error == facts["top1_error"]
    monkeypatch.chdir("/")
    assert json.loads(command("evaluate", tmp_path / "run", "--json").out)["num_images"] == 12
    moved = shutil.copytree(photos, tmp_path / "elsewhere")
    facts = json.loads(command("evaluate", tmp_path / "run", "--data", moved, "--json").out)
    assert (facts["split"], facts["num_images"]) == ("test", 12)


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_a_folder_that_has_changed_is_reported_also_when_it_is_name_after_data(
    command: Command, tiny: Recipe, photos: Path, tmp_path: Path
) -> None:
    data_options = replace(tiny.data_options, test_fraction=0.34)
    recipe = replace(tiny, data=str(photos), data_options=data_options, epochs=1)
    alexnet.train(recipe, out=tmp_path / "run")
    assert "has changed" not in command("evaluate", tmp_path / "run", "--data", photos).err
    next((photos / "rose").iterdir()).unlink()
    for words in ([], ["--data", photos]):
        assert "has changed" in command("evaluate", tmp_path / "run", *words).err


def test_a_pattern_may_match_folders(command: Command, own: object, photos: Path) -> None:
    model = own.path  # type: ignore[attr-defined]
    result = command("predict", model, f"{photos}/r*", "--json")
    assert result.code == 0
    assert len(json.loads(result.out)["predictions"]) == 3
    both = command("predict", model, photos, "--json", "--csv")
    assert (both.code, both.out) == (2, "")
    assert "choose one of --json and --csv" in both.err


def test_a_run_on_own_data_is_named_after_the_data() -> None:
    from alexnet.cli.train import name_after_data
    from alexnet.config.presets import preset

    start = preset("quickstart")
    assert name_after_data(start, start).name == "quickstart"
    assert name_after_data(replace(start, data="/x/my photos"), start).name == "my_photos"
    assert name_after_data(replace(start, data="/x", name="mine"), start).name == "mine"
