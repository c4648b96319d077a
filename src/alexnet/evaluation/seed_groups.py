"""Runs whose recipes differ only in the seed: the mean error of a group, and groups compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import recipe_changes
from alexnet.evaluation.intervals import ConfidenceInterval, mean_t_interval, welch_interval

SEED_IN_NAME = re.compile(r"[-_. ]*(s|seed)?[-_. ]*\d+$", re.IGNORECASE)
"""How the names of runs end that are numbered by their seeds: "base-s0"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupDifference:
    """A group's mean error against that of the first group."""

    difference: float
    """This group's mean error minus the first one's; below 0 if this group is better."""
    interval: ConfidenceInterval
    """Student's, 95 %."""
    method: Literal["paired", "welch"]
    """paired: by the differences of each seed, if both groups have the same seeds; else Welch's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedGroup:
    """Two runs or more whose recipes differ only in the seed."""

    name: str
    """The names of the runs without their seeds, else the first one's."""
    models: tuple[str, ...]
    """The names of the runs, one for each seed."""
    seeds: tuple[int, ...]
    mean_top1_error: float
    """0 to 1."""
    interval: ConfidenceInterval
    """Student's, 95 %, over the seeds."""
    against_first: GroupDifference | None
    """Null for the first group."""


def group_by_seed(
    recipes: Mapping[str, Recipe], errors: Mapping[str, float]
) -> tuple[SeedGroup, ...]:
    """The groups of runs; none unless there are two groups, each of two seeds or more.

    Args:
        recipes: by the names of the runs. Of runs with the same recipe and seed the first counts.
        errors: top-1 errors, 0 to 1, by the same names.
    """
    groups: list[dict[int, str]] = []
    for name, recipe in recipes.items():
        group = next((g for g in groups if _is_alike(recipe, recipes[next(iter(g.values()))])), {})
        if not group:
            groups.append(group)
        group.setdefault(recipe.seed, name)
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < 2:
        return ()
    names = _group_names([list(group.values()) for group in groups])
    by_seed = [{seed: errors[run] for seed, run in group.items()} for group in groups]
    return tuple(
        SeedGroup(
            name=name,
            models=tuple(group.values()),
            seeds=tuple(group),
            mean_top1_error=fmean(values.values()),
            interval=mean_t_interval(list(values.values())),
            against_first=_difference(values, by_seed[0]) if i else None,
        )
        for i, (name, group, values) in enumerate(zip(names, groups, by_seed, strict=True))
    )


def _is_alike(a: Recipe, b: Recipe) -> bool:
    """Whether two recipes differ at most in the seed."""
    return all(change.option == "seed" for change in recipe_changes((a, b)))


def _difference(this: Mapping[int, float], first: Mapping[int, float]) -> GroupDifference:
    """The mean error of `this` minus that of `first`, each by seed."""
    is_paired = this.keys() == first.keys()
    pairs = [error - first[seed] for seed, error in this.items()] if is_paired else []
    return GroupDifference(
        difference=fmean(this.values()) - fmean(first.values()),
        interval=mean_t_interval(pairs)
        if is_paired
        else welch_interval(list(this.values()), list(first.values())),
        method="paired" if is_paired else "welch",
    )


def _group_names(groups: Sequence[Sequence[str]]) -> list[str]:
    """The names of the runs without their seeds; where these tell too little, the first run's."""
    starts = [{SEED_IN_NAME.sub("", name) for name in names} for names in groups]
    is_clear = all(len(start) == 1 for start in starts)
    names = [start.pop() for start in starts]
    is_clear = is_clear and all(names) and len(set(names)) == len(names)
    return names if is_clear else [group[0] for group in groups]
