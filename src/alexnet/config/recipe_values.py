"""The values of a recipe for other programs and readers: flat, and without local folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias

from alexnet.config.recipe import BaseRecipe, Recipe
from alexnet.config.serialization import json_text, to_dict

Setting: TypeAlias = "str | int | float | bool"


def without_folders(recipe: Recipe) -> Recipe:
    """The recipe, in which every absolute path is replaced by its last name."""
    return replace(
        recipe,
        data=_last_name(recipe.data),
        data_root=_last_name(recipe.data_root),
        init_from=_last_name(recipe.init_from),
    )


def _last_name(text: str) -> str:
    paths = (kind(text) for kind in (PurePosixPath, PureWindowsPath))
    return next((path.name for path in paths if path.is_absolute()), text)


def flat_values(recipe: BaseRecipe) -> dict[str, Setting]:
    """The recipe's values by names such as "optimizer.lr"; lists as JSON text, None left out."""
    return _flat(to_dict(recipe), "")


def _flat(plain: Mapping[str, Any], prefix: str) -> dict[str, Setting]:
    flat: dict[str, Setting] = {}
    for key, value in plain.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = json_text(value, None) if isinstance(value, list) else value
    return flat
