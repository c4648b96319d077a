"""The options in which recipes differ, by the names of the command line's flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any

from alexnet.config.options import flag_name
from alexnet.config.presets import FINETUNE, PRESETS
from alexnet.config.published_inputs import INPUT_OPTIONS, with_architecture, with_network
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
    """The value of each recipe, as in its JSON; None also where a recipe lacks the option."""

    @property
    def flag(self) -> str:
        """Its flag, such as --batch-size."""
        return flag_name(self.option)


def recipe_changes(recipes: Sequence[BaseRecipe]) -> list[RecipeChange]:
    """The options in which recipes differ, in the order of the fields.

    Args:
        recipes: two or more, of the same class or of different ones.
    """
    values = [option_values(recipe) for recipe in recipes]
    names = dict.fromkeys(name for options in values for name in options)
    changes = [
        RecipeChange(option=name, values=tuple(options.get(name) for options in values))
        for name in names
        if name not in NOT_COMPARED
    ]
    return [change for change in changes if any(v != change.values[0] for v in change.values)]


def nearest_preset(recipe: Recipe) -> Recipe:
    """The preset with the recipe's name, else the one with the fewest differences from the recipe.

    Options that --arch changes do not count as differences.
    """
    if recipe.name in PRESETS:
        return PRESETS[recipe.name]
    return min(PRESETS.values(), key=lambda preset: len(_own_changes(preset, recipe)))


def _own_changes(preset: Recipe, recipe: Recipe) -> list[RecipeChange]:
    """The options that differ from a preset with the recipe's --arch, and `arch` if it differs."""
    own = recipe_changes((with_architecture(preset, recipe.arch), recipe))
    arch = [change for change in recipe_changes((preset, recipe)) if change.option == "arch"]
    return [*arch, *own]


def brought_by_arch(recipe: Recipe) -> list[RecipeChange]:
    """The options of the recipe's preset that its architecture changes, with both values.

    Options to which the recipe gives a third value are left out.
    """
    preset = nearest_preset(recipe)
    own = {change.option for change in _own_changes(preset, recipe)}
    brought = recipe_changes((preset, with_architecture(preset, recipe.arch)))
    return [change for change in brought if change.option not in own]


def arch_note(recipe: Recipe) -> str:
    """A sentence on the options that --arch has changed; "" if it has changed none.

    Options that become None, which means "as published", are left out.
    """
    brought = [change for change in brought_by_arch(recipe) if change.values[1] is not None]
    return f"--arch {recipe.arch_name} brings {_flags(brought)}; other flags win" if brought else ""


def from_model_note(recipe: Recipe, model: Recipe) -> str:
    """A sentence on the options that --from MODEL has changed, or that differ from the model's.

    "" if the model's network and input are those of the preset for fine-tuning.

    Args:
        recipe: a recipe that starts from the weights of a model.
        model: the recipe of that model.
    """
    others = _network_changes(recipe, model)
    if others:
        preset = PRESETS.get(recipe.name)
        of_preset = option_values(preset) if preset else {}
        is_of_preset = any(of_preset.get(one.option) == one.values[0] for one in others)
        advice = "; name your data in place of the preset to keep the model's" * is_of_preset
        return (
            f"--from {recipe.init_from} is of {_flags(others)}; this training has "
            f"{_flags(others, 0)}{advice}"
        )
    brought = _network_changes(FINETUNE, model)
    shown = [one for one in brought if one.option != "arch" and one.values[1] is not None]
    flags = " ".join(filter(None, (f"--arch {recipe.arch_name}", _flags(shown))))
    return f"--from {recipe.init_from} brings {flags}; other flags win" if brought else ""


def _network_changes(recipe: Recipe, model: Recipe) -> list[RecipeChange]:
    """The options of the network and its input in which a recipe differs from a model's recipe."""
    known = {"arch", *option_values(model.model), *INPUT_OPTIONS}
    changes = recipe_changes((recipe, with_network(recipe, model)))
    return [change for change in changes if change.option in known]


def _flags(changes: Sequence[RecipeChange], which: int = 1) -> str:
    """The flags with the values of the recipe `which`, as typed on the command line."""
    return " ".join(f"{change.flag} {flag_text(change.values[which])}" for change in changes)


def recipe_lines(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Lines on the preset that a recipe comes from and on each change, as pairs (name, text)."""
    preset = nearest_preset(recipe)
    changes = _own_changes(preset, recipe)
    yield "recipe", f"preset {preset.name}{', changed by' if changes else ''}"
    of_preset = {change.option: change for change in recipe_changes((preset, recipe))}
    for change in changes:
        brought = brought_by_arch(recipe) if change.option == "arch" else []
        is_of_preset = of_preset.get(change.option) == change
        text = _change_text(change, "preset" if is_of_preset else "--arch")
        yield "", f"  {text}{', which brings' if brought else ''}"
        yield from (("", f"    {_change_text(one, 'preset')}") for one in brought)


def _change_text(change: RecipeChange, source: str) -> str:
    before, after = map(flag_text, change.values)
    return f"{change.flag} {after} ({source}: {before})"


def flag_text(value: Any) -> str:
    """A value as typed on the command line: "None" for None, "''" for an empty text."""
    if isinstance(value, dict):  # an architecture that is no published one
        return str(value.get("name"))
    if isinstance(value, list):
        return " ".join(map(flag_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else "''"


def option_values(recipe: object) -> dict[str, Any]:
    """The values of a recipe and of its groups, by option."""
    options: dict[str, Any] = {}
    for name, hint in field_types(type(recipe)).items():
        value = getattr(recipe, name)
        options |= option_values(value) if is_dataclass(hint) else {name: to_dict(value, hint)}
    return options
