"""What the first argument and the keywords of `alexnet.train` mean."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import alexnet
from alexnet.api.recipes import changed_recipe, starting_recipe
from alexnet.config.options import option_types
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.errors import AlexNetError


def test_a_preset_a_recipe_or_nothing_is_a_recipe() -> None:
    assert starting_recipe("flowers17") is PRESETS["flowers17"]
    assert starting_recipe("") is PRESETS["quickstart"]
    recipe = Recipe(epochs=3)
    assert starting_recipe(recipe) is recipe


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("my photos/", "my_photos"),
        (Path("photos"), "photos"),
        (Path("flowers17"), "flowers17"),
        ("./flowers17", "flowers17"),
        ("list.csv", "list"),
        ("photos.zip", "photos"),
        ("cifar10", "cifar10"),
    ],
)
def test_a_path_or_a_data_set_is_data_for_the_default_preset(data: str | Path, name: str) -> None:
    expected = replace(PRESETS["quickstart"], data=str(data), name=name)
    assert starting_recipe(data) == expected


def test_a_folder_that_exists_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert starting_recipe("photos").data == "photos"
    (tmp_path / "flowers17").mkdir()
    assert starting_recipe("flowers17") is PRESETS["flowers17"]


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ("flower17", "unknown preset .nor is it data. 'flower17'; did you mean flowers17"),
        ("alexnet_bn", "'alexnet_bn' is an architecture; name it with arch='alexnet_bn'"),
        (5, "the name of a preset, or the path of data; not a int"),
        (["photos/"], "not a list"),
    ],
)
def test_another_word_is_told(start: Any, text: str) -> None:
    with pytest.raises(AlexNetError, match=text):
        starting_recipe(start)


def test_a_config_file_overrides_the_preset_and_keywords_override_that(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"epochs": 7, "seed": 5}')
    start = starting_recipe("flowers17", config)
    assert start == replace(PRESETS["flowers17"], epochs=7, seed=5)
    assert changed_recipe(start, {"seed": 1}, ()) == replace(start, seed=1)


def test_other_data_names_the_run_unless_a_name_is_given() -> None:
    start = PRESETS["flowers17"]
    assert changed_recipe(start, {"data": Path("a b")}, ()).name == "a_b"
    assert changed_recipe(start, {"data": "x", "name": "y"}, ()).name == "y"
    assert changed_recipe(start, {"epochs": 2}, ()).name == "flowers17"


def test_an_architecture_is_a_name_a_value_or_a_file(tmp_path: Path) -> None:
    table = alexnet.architecture("lenet5")
    (tmp_path / "net.json").write_text(to_json(table))
    start = PRESETS["quickstart"]
    for arch in (table, str(tmp_path / "net.json")):
        assert changed_recipe(start, {"arch": arch}, ()).arch == table
    assert changed_recipe(start, {"arch": "lenet5"}, ()).arch == "lenet5"


def test_editors_see_every_option() -> None:
    parameters = set(inspect.signature(alexnet.train).parameters)
    own = {"recipe", "config", "out", "resume", "reporter"}
    assert parameters == own | set(option_types(Recipe))
