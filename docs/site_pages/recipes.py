"""The presets, each as what it changes of the recipe that has no name."""

from __future__ import annotations

from typing import Any

from alexnet.config.presets import PRESETS
from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import recipe_changes
from site_pages.markdown import code, escape, fenced, table

HEAD = """# Recipes

A recipe is everything that determines a training: data, network, preprocessing, augmentation,
optimizer, schedule, seed. It is one value, [`alexnet.Recipe`](api/alexnet.md), and the file
`config.json` of every run. A preset is a recipe with a name; `alexnet train NAME --dry-run` prints
what it would do, and every value is a [flag](commands/train.md). Below is what each preset has
otherwise than a plain `Recipe()`."""


def pages() -> dict[str, str]:
    """The page of all presets."""
    return {"recipes.md": "\n\n".join([HEAD, *map(_section, PRESETS.values())]) + "\n"}


def _section(recipe: Recipe) -> str:
    changes = recipe_changes((Recipe(), recipe))
    rows = [(code(one.flag), *map(_value, one.values)) for one in changes]
    command = fenced("sh", f"alexnet train {recipe.name} --dry-run")
    head = ("flag", "plain recipe", code(recipe.name))
    return f"## {recipe.name}\n\n{command}\n\n{table(head, rows)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    words = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return "none" if value is None or not words else escape(words)
