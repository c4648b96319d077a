"""Options under the names of the flags: found in the groups, checked, explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.cli.flag_list import flag_names
from alexnet.config.augmentation import Augmentation
from alexnet.config.options import flag_name, option_types, with_options
from alexnet.config.presets import FLOWERS17
from alexnet.config.recipe import LRSchedule, OptimizerOptions, Recipe
from alexnet.errors import ConfigError, UnknownNameError, UsageError
from alexnet.other_words import ANSWERS, OTHER_WORDS


def test_every_flag_of_a_recipe_is_an_option() -> None:
    flags = {flag for flag in flag_names(Recipe) if not flag.startswith("--no-")}
    set_by_the_program = {"--replanned"}
    assert {flag_name(name) for name in option_types(Recipe)} == flags | set_by_the_program


def test_options_change_the_recipe_and_its_groups_and_nothing_else() -> None:
    found = with_options(
        FLOWERS17,
        {"epochs": 5, "lr": 1, "milestones": (3, 7), "schedule": "step", "data": Path("x")},
    )
    assert found == replace(
        FLOWERS17,
        epochs=5,
        data="x",
        optimizer=replace(FLOWERS17.optimizer, lr=1.0),
        schedule=replace(FLOWERS17.schedule, schedule="step", milestones=(3, 7)),
    )
    assert type(found.optimizer.lr) is float
    assert with_options(FLOWERS17, {}) == FLOWERS17


def test_a_whole_group_is_an_option_and_single_ones_change_it() -> None:
    group = Augmentation(flip=False)
    assert with_options(FLOWERS17, {"augment": group}).augment == group
    found = with_options(FLOWERS17, {"schedule": LRSchedule(), "warmup_steps": 3})
    assert found.schedule == LRSchedule(warmup_steps=3)
    found = with_options(FLOWERS17, {"optimizer": OptimizerOptions(), "lr": 0.5})
    assert found.optimizer == OptimizerOptions(lr=0.5)


def test_numbers_of_numpy_are_numbers() -> None:
    found = with_options(FLOWERS17, {"epochs": np.int64(3), "lr": np.float32(0.5)})
    assert (found.epochs, found.optimizer.lr) == (3, 0.5)
    assert type(found.epochs) is int


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"learning_rate": 0.1},
            UsageError,
            "'learning_rate'; it is called lr here",
        ),
        ({"num_workers": 4}, UsageError, "images are decoded once"),
        ({"epoch": 3}, UnknownNameError, "did you mean epochs"),
        ({"augment": "yes"}, UnknownNameError, "unknown option 'augment'"),
        ({"epochs": "5"}, UsageError, "epochs must be int, not '5'"),
        ({"epochs": 2.5}, UsageError, "epochs must be int, not 2.5"),
        ({"epochs": True}, UsageError, "epochs must be int, not True"),
        ({"optimizer": "AdamW"}, UsageError, "optimizer is 'AdamW'; it can be paper, sgd, adam"),
        ({"milestones": 5}, UsageError, "milestones must be a list, not 5"),
        ({"arch": None}, UsageError, "arch must be str or Architecture, not None"),
        ({"epochs": 0}, ConfigError, "--epochs 0 must be at least 1"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        with_options(FLOWERS17, options)


def test_words_of_other_programs_lead_to_options_and_hide_none() -> None:
    arguments = {"out", "config", "recipe", "reporter", "top", "crops", "opset", "class_name"}
    ours = {*option_types(Recipe), *arguments}
    assert set(OTHER_WORDS.values()) <= ours
    assert not set(OTHER_WORDS) & (ours - {"opset"})
    assert not set(OTHER_WORDS) & set(ANSWERS)
