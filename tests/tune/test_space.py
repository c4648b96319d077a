"""What is varied: defaults, files, mistakes in them, and values from and to a study."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.presets import FINETUNE, PRESETS
from alexnet.config.recipe import Recipe
from alexnet.errors import AlexNetError
from alexnet.tune.space import (
    Parameter,
    default_space,
    own_values,
    read_space,
    recipe_with,
)
from support.places import ROOT

FULL = """
lr = {low = 1e-4, high = 1e-2, log = true}
batch-size = {choices = [16, 32]}
epochs = {low = 2, high = 9}
from-nowhere = {choices = [1, 2]}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "space.toml"
    path.write_text(text)
    return path


def options(recipe: Recipe) -> list[str]:
    return [parameter.option for parameter in default_space(recipe)]


def test_the_default_space_has_what_a_recipe_has() -> None:
    mixed = ["lr", "weight_decay", "dropout", "label_smoothing", "min_scale", "cutmix"]
    assert options(PRESETS["flowers17"]) == mixed
    assert options(PRESETS["cifar_relu"]) == ["lr", "weight_decay"]
    assert options(PRESETS["notebook"]) == ["lr", "dropout"]
    fine = replace(FINETUNE, init_from="torchvision")
    assert options(fine)[-1] == "freeze_up_to"
    assert default_space(fine)[-1].choices == ("", "conv3", "conv5")
    lr = default_space(PRESETS["flowers17"])[0]
    assert (lr.low, lr.high, lr.log) == (1e-4, 1e-2, True)


@pytest.mark.parametrize("name", PRESETS)
def test_every_default_space_fits_its_recipe_and_has_its_own_values(name: str) -> None:
    recipe = PRESETS[name]
    for parameter in default_space(recipe):
        own = own_values(recipe, (parameter,))[parameter.option]
        assert parameter.value(parameter.nearest(own)) == own
        for end in parameter.codes or (parameter.low, parameter.high):
            recipe_with(recipe, {parameter.option: parameter.value(end)})  # type: ignore[arg-type]


def test_a_file_has_ranges_and_choices(tmp_path: Path) -> None:
    text = FULL.replace("from-nowhere", "rand-augment").replace("[1, 2]", "[[1, 5], [2, 9]]")
    lr, batch, epochs, augment = read_space(written(tmp_path, text), Recipe())
    assert lr == Parameter(option="lr", low=1e-4, high=1e-2, log=True)
    assert batch.choices == (16, 32)
    assert epochs.is_whole
    assert augment.codes == ("[1, 5]", "[2, 9]")
    changed = recipe_with(Recipe(), {"rand_augment": augment.value("[2, 9]"), "batch_size": 16})
    assert (changed.augment.rand_augment, changed.batch_size) == ((2, 9), 16)


def test_the_space_of_the_guide_is_read(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guide.md").read_text()
    (block,) = re.findall(r"^```toml\n(lr = .*?)^```", guide, re.S | re.M)
    space = read_space(written(tmp_path, block), PRESETS["flowers17"])
    assert [parameter.flag for parameter in space] == [
        "--lr", "--weight-decay", "--batch-size", "--rand-augment"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning-rate = {low = 0.1, high = 1.0}", "it is called lr here"),
        ("weight-decy = {low = 0.1, high = 1.0}", "weight_decay"),
        ("seed = {choices = [1, 2]}", "--seed is not tuned"),
        ("lr = {low = 0.1}", "low = .., high"),
        ("lr = {low = 0.1, high = 1.0, step = 2}", "low = .., high"),
        ("lr = {low = 1.0, high = 0.1}", "low 1 must be below high 0.1"),
        ("weight-decay = {low = 0, high = 0.1, log = true}", "above 0 where log"),
        ("lr = {low = 'a', high = 0.1}", "a number as low"),
        ("optimizer = {low = 0, high = 1}", "or choices"),
        ("optimizer = {choices = ['adamw', 'admw']}", "admw"),
        ("batch-size = {low = 1.5, high = 8}", "whole numbers"),
        ("lr = {choices = [0.1]}", "two choices or more"),
        ("lr = {choices = [0.1, 0.1]}", "twice"),
        ("dropout = {low = 0.0, high = 1.5}", "--dropout 1.5"),
        ("", "has no options"),
    ],
)
def test_mistakes_in_a_file_are_told(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(AlexNetError, match=message):
        read_space(written(tmp_path, line), Recipe())


def test_values_have_three_digits_and_stay_in_their_range() -> None:
    lr = Parameter(option="lr", low=0.0012345, high=0.0098765, log=True)
    assert lr.value(0.00234567) == 0.00235
    assert lr.value(0.0098764) == 0.0098765  # 0.00988 is above the range
    assert lr.nearest(1.0) == 0.0098765
    assert Parameter(option="flip", choices=(True, False)).nearest(False) is False
