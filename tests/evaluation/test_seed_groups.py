"""Groups of runs that differ only in the seed, against values by hand and of scipy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.config.recipe import Recipe
from alexnet.evaluation.intervals import mean_t_interval, t_quantile, welch_interval
from alexnet.evaluation.seed_groups import group_by_seed

BASE = Recipe(data="trees")
WORSE = replace(BASE, epochs=BASE.epochs + 1)
ERRORS = {"base-s0": 0.1, "base-s1": 0.2, "base-s2": 0.3, "other-s0": 0.15, "other-s1": 0.3,
          "other-s2": 0.3}  # fmt: skip
RECIPES = {
    name: replace(BASE if name.startswith("base") else WORSE, seed=int(name[-1]), name=name)
    for name in ERRORS
}


def test_student_quantiles_are_those_of_tables() -> None:
    found = [t_quantile(degrees) for degrees in (1, 2, 9, 120)]
    assert found == pytest.approx([12.7062, 4.3027, 2.2622, 1.9799], abs=1e-4)


def test_intervals_are_those_of_scipy() -> None:
    a, b = [0.1, 0.2, 0.3], [0.15, 0.3, 0.35, 0.5]
    one, two = mean_t_interval(a), welch_interval(b, a)
    assert (one.low, one.high) == pytest.approx((-0.0484138, 0.4484138))  # ttest_1samp
    assert (two.low, two.high) == pytest.approx(
        (-0.1126044, 0.3626044)
    )  # ttest_ind, equal_var=False
    equal = welch_interval([0.5, 0.5], [0.25, 0.25])
    assert (equal.low, equal.high) == (0.25, 0.25)
    with pytest.raises(ValueError, match="two values"):
        mean_t_interval([0.1])


def test_groups_with_the_same_seeds_are_paired() -> None:
    base, other = group_by_seed(RECIPES, ERRORS)
    assert (base.name, base.seeds, base.against_first) == ("base", (0, 1, 2), None)
    assert (other.name, other.models) == ("other", ("other-s0", "other-s1", "other-s2"))
    assert base.mean_top1_error == pytest.approx(0.2)
    # t = 4.3027, std = 0.1: 0.2 +- 4.3027 * 0.1 / sqrt(3)
    assert (base.interval.low, base.interval.high) == pytest.approx((-0.04841, 0.44841), abs=1e-5)
    test = other.against_first
    assert test
    assert (test.method, test.difference) == ("paired", pytest.approx(0.05))
    assert test.interval == mean_t_interval([0.15 - 0.1, 0.3 - 0.2, 0.3 - 0.3])


def test_groups_with_other_seeds_are_compared_by_welch() -> None:
    recipes = {name: recipe for name, recipe in RECIPES.items() if name != "other-s2"}
    test = group_by_seed(recipes, ERRORS)[1].against_first
    assert test
    assert test.method == "welch"
    assert test.interval == welch_interval([0.15, 0.3], [0.1, 0.2, 0.3])


def test_one_run_or_one_seed_is_no_group() -> None:
    singles = {name: RECIPES[name] for name in ("base-s0", "base-s1", "other-s0")}
    assert group_by_seed(singles, ERRORS) == ()
    same = {**singles, "other-s1": replace(RECIPES["other-s0"], device="cuda", name="again")}
    assert group_by_seed(same, ERRORS) == (), "the same recipe and seed twice is one training"


def test_groups_of_numbered_runs_are_named_after_their_first_runs() -> None:
    recipes = {f"photos-00{i}": recipe for i, recipe in enumerate(RECIPES.values())}
    errors = dict(zip(recipes, ERRORS.values(), strict=True))
    assert [group.name for group in group_by_seed(recipes, errors)] == ["photos-000", "photos-003"]
