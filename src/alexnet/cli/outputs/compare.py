"""What `compare --json` prints, and comparison.json holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import recipe_changes
from alexnet.evaluation.paired import Comparison, ModelErrors, PairedTest
from alexnet.evaluation.seed_groups import SeedGroup


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionValues:
    """An option in which the recipes differ."""

    option: str
    """Its name in Python, such as lr."""
    values: dict[str, Any]
    """By the name of the model; null also where a recipe has no such option."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareOutput:
    """Models on the same images of one split."""

    data: str
    """The data set's name."""
    split: str
    crops: Literal[1, 10]
    num_images: int
    models: tuple[ModelErrors, ...]
    tests: tuple[PairedTest, ...]
    """One for each model after the first, which it is compared with."""
    seed_groups: tuple[SeedGroup, ...]
    """Two or more, else none."""
    recipe_changes: tuple[OptionValues, ...]
    """Imported models have no recipe."""


def compare_output(
    comparison: Comparison, recipes: Mapping[str, Recipe], groups: tuple[SeedGroup, ...]
) -> CompareOutput:
    """What is printed of a comparison, of the recipes by the names of the models, and of seeds."""
    changes = recipe_changes(list(recipes.values())) if recipes else []
    return CompareOutput(
        data=comparison.data,
        split=comparison.split,
        crops=comparison.crops,
        num_images=comparison.num_images,
        models=comparison.models,
        tests=comparison.tests,
        seed_groups=groups,
        recipe_changes=tuple(
            OptionValues(option=c.option, values=dict(zip(recipes, c.values, strict=True)))
            for c in changes
        ),
    )
