"""Differences of recipes, and the preset that a recipe comes from."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.presets import FINETUNE, PRESETS, preset
from alexnet.config.published_inputs import with_network
from alexnet.config.recipe import LRSchedule, Recipe
from alexnet.config.recipe_changes import (
    arch_note,
    brought_by_arch,
    flag_text,
    from_model_note,
    nearest_preset,
    recipe_changes,
    recipe_lines,
)
from alexnet.models.variants import ModelOptions
from alexnet.models.zoo import architecture
from alexnet.pretraining.recipe import RbmRecipe

QUICK = PRESETS["quickstart"]


def changed(*recipes: Recipe | RbmRecipe) -> dict[str, tuple[object, ...]]:
    return {change.option: change.values for change in recipe_changes(recipes)}


def test_changes_of_options_and_of_groups() -> None:
    other = replace(
        QUICK, name="x", device="cpu", epochs=3, model=ModelOptions(width=0.5, input_size=128)
    )
    assert changed(QUICK, other) == {"width": (1.0, 0.5), "epochs": (45, 3)}
    assert changed(QUICK, QUICK) == {}
    assert [change.flag for change in recipe_changes((QUICK, replace(QUICK, batch_size=8)))] == [
        "--batch-size"
    ]


def test_a_table_of_ones_own_is_one_value() -> None:
    own = replace(architecture("lenet5"), name="mine")
    (change,) = recipe_changes((QUICK, replace(QUICK, arch=own)))
    assert [flag_text(value) for value in change.values] == ["alexnet_bn", "mine"]


def test_several_recipes_have_a_value_each() -> None:
    recipes = [replace(QUICK, epochs=epochs) for epochs in (1, 1, 2)]
    assert changed(*recipes) == {"epochs": (1, 1, 2)}


def test_recipes_of_two_kinds() -> None:
    differences = changed(QUICK, RbmRecipe.from_recipe(QUICK))
    assert differences["cd_steps"] == (None, 1)
    assert differences["label_smoothing"] == (0.1, None)


def test_the_preset_is_found_by_name_or_by_likeness() -> None:
    assert nearest_preset(replace(QUICK, epochs=1)) is QUICK
    lenet = replace(PRESETS["mnist_lenet"], name="birds", data="/birds", epochs=3)
    assert nearest_preset(lenet).name == "mnist_lenet"
    for name, recipe in PRESETS.items():
        assert nearest_preset(replace(recipe, name="own")).name == name


def test_what_an_architecture_brings_stands_below_it() -> None:
    recipe = replace(preset("quickstart", arch="alexnet", lr=0.01), name="birds", epochs=3)
    brought = {change.option: change.values for change in brought_by_arch(recipe)}
    assert brought == {
        "input_size": (128, None), "init": ("published", "he"), "bias": (None, 0.0),
        "resize_size": (160, 256), "crop_size": (140, None), "mean": ("rgb", "image"),
    }  # fmt: skip
    lines = [text for _, text in recipe_lines(recipe)]
    assert lines[:3] == [
        "preset quickstart, changed by",
        "  --arch alexnet (preset: alexnet_bn), which brings",
        "    --input-size None (preset: 128)",
    ]
    assert lines[-2:] == ["  --epochs 3 (preset: 45)", "  --lr 0.01 (--arch: 0.0003)"]
    assert arch_note(recipe) == (
        "--arch alexnet brings --init he --bias 0 --resize-size 256 --mean image; other flags win"
    )
    assert arch_note(QUICK) == ""


def test_values_are_written_as_flags_take_them() -> None:
    values = ("", None, 1e-5, [25, 51], [], True, "adamw", 3)
    assert [flag_text(value) for value in values] == [
        "''", "None", "1e-05", "25 51", "none", "True", "adamw", "3",
    ]  # fmt: skip
    changes = recipe_changes(
        (QUICK, replace(QUICK, schedule=LRSchedule(schedule="step", milestones=(3, 5))))
    )
    assert {change.option: flag_text(change.values[1]) for change in changes} == {
        "schedule": "step", "milestones": "3 5", "warmup_epochs": "0",
    }  # fmt: skip


def test_what_a_model_brings_is_told_as_such() -> None:
    model = replace(preset("quickstart", arch="lenet5"), data="digits")
    recipe = replace(with_network(FINETUNE, model), init_from="m.safetensors", name="birds")
    text = from_model_note(recipe, model)
    assert text.startswith("--from m.safetensors brings --arch lenet5 ")
    assert "--resize-size 32" in text
    assert text.endswith("; other flags win")
    assert from_model_note(replace(FINETUNE, init_from="m.safetensors"), FINETUNE) == ""


def test_a_preset_beside_a_model_keeps_its_network_and_says_so() -> None:
    model = replace(preset("quickstart", arch="lenet5"), data="digits")
    text = from_model_note(replace(QUICK, init_from="m.safetensors"), model)
    assert text.startswith("--from m.safetensors is of --arch lenet5 ")
    assert "; this training has --arch alexnet_bn --input-size 128 " in text
    assert text.endswith("; name your data in place of the preset to keep the model's")
    options = replace(with_network(FINETUNE, model).data_options, resize_size=48)
    own = replace(with_network(FINETUNE, model), name="birds", data_options=options)
    assert from_model_note(replace(own, init_from="m.safetensors"), model) == (
        "--from m.safetensors is of --resize-size 32; this training has --resize-size 48"
    )
