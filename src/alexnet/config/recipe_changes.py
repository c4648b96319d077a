"""How recipes differ, option by option, under the names of the command line's flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any

from alexnet.config.options import flag_name
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import BaseRecipe, Recipe
from alexnet.config.serialization import field_types, to_dict

NOT_COMPARED = ("name", "data_root", "device")
"""Options that say where a run is and what computes it, not what is trained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeChange:
    """An option in which recipes differ."""

    option: str
    """Its name in Python, such as "lr"."""
    values: tuple[Any, ...]
    """One per recipe, as in its JSON; None also where a recipe has no such option."""

    @property
    def flag(self) -> str:
        """Its flag, such as --batch-size."""
        return flag_name(self.option)


def recipe_changes(recipes: Sequence[BaseRecipe]) -> list[RecipeChange]:
    """The options in which recipes differ, in the order of the fields.

    Args:
        recipes: two or more, of one kind or of several.
    """
    values = [_options(recipe) for recipe in recipes]
    names = dict.fromkeys(name for options in values for name in options)
    changes = [
        RecipeChange(option=name, values=tuple(options.get(name) for options in values))
        for name in names
        if name not in NOT_COMPARED
    ]
    return [change for change in changes if any(v != change.values[0] for v in change.values)]


def nearest_preset(recipe: Recipe) -> Recipe:
    """The preset of the recipe's name, else the one that differs from it in the fewest options."""
    if recipe.name in PRESETS:
        return PRESETS[recipe.name]
    return min(PRESETS.values(), key=lambda preset: len(recipe_changes((preset, recipe))))


def recipe_lines(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The preset that a recipe comes from, and each change: the name and the text of every line."""
    preset = nearest_preset(recipe)
    changes = recipe_changes((preset, recipe))
    yield "recipe", f"preset {preset.name}{', changed by' if changes else ''}"
    for change in changes:
        before, after = map(flag_text, change.values)
        yield "", f"  {change.flag} {after} (preset: {before})"


def flag_text(value: Any) -> str:
    """A value as on the command line; "None" for None, "''" for an empty text."""
    if isinstance(value, dict):  # an architecture that is no published one
        return str(value.get("name"))
    if isinstance(value, list):
        return " ".join(map(flag_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else "''"


def _options(recipe: object) -> dict[str, Any]:
    """The values of a recipe and of its groups, by option."""
    options: dict[str, Any] = {}
    for name, hint in field_types(type(recipe)).items():
        value = getattr(recipe, name)
        options |= _options(value) if is_dataclass(hint) else {name: to_dict(value, hint)}
    return options
