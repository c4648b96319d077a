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
    """Values by the name of the model; null also where a recipe has no such option."""


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
    """The test of each model after the first, compared with the first."""
    seed_groups: tuple[SeedGroup, ...]
    """Groups of runs that differ only in the seed; none if there are fewer than two groups."""
    recipe_changes: tuple[OptionValues, ...]
    """The options in which recipes differ; imported models have no recipe."""


def compare_output(
    comparison: Comparison, recipes: Mapping[str, Recipe], groups: tuple[SeedGroup, ...]
) -> CompareOutput:
    """Make the output of a comparison; `recipes` are by the names of the models."""
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
