"""The values of a recipe for others: flat, and without folders of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias

from alexnet.config.recipe import BaseRecipe, Recipe
from alexnet.config.serialization import json_text, to_dict

Setting: TypeAlias = "str | int | float | bool"


def without_folders(recipe: Recipe) -> Recipe:
    """The recipe with the last name of every absolute path in its place."""
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
    """Values by names such as "optimizer.lr"; lists as JSON; what is None is left out."""
    return _flat(to_dict(recipe), "")


def _flat(plain: Mapping[str, Any], prefix: str) -> dict[str, Setting]:
    flat: dict[str, Setting] = {}
    for key, value in plain.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = json_text(value, None) if isinstance(value, list) else value
    return flat
