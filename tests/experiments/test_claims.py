"""Every claim's experiment: its runs can be made, and its arms differ in what is claimed alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_dict
from alexnet.data.splits import Splits, split
from alexnet.errors import ConfigError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.experiment import Arm, Comparison, Protocol, ProtocolName
from alexnet.experiments.formatting import estimate
from alexnet.experiments.intervals import Interval
from alexnet.experiments.plan import SIZES, Plan, minutes, with_changes
from alexnet.experiments.plots import COLOURS
from alexnet.experiments.summary_page import page_text
from alexnet.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Init,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
)
from alexnet.training.setup import build_architecture
from alexnet.transforms.statistics import preprocessing_for
from published import ERRORS
from support.commands import Command
from support.places import ROOT

MAY_DIFFER = {
    "relu-vs-tanh": {"model.activation"},
    "overlapping-pooling": {"model.pooling"},
    "response-norm": {"model.norm"},
    "dropout": {"model.dropout"},
    "augmentation": {"augment.crop", "augment.flip", "augment.color_std", "augment.noise_std"},
    "weight-decay": {"optimizer.weight_decay"},
    "ten-views": set[str](),
    "two-columns": {"arch"},
    "bias-one": {"model.bias"},
    "init": {"model.init"},
    "batch-norm-vs-lrn": {"model.norm"},
    "lenet-vs-alexnet": {"arch", "model.channels", "model.width", "model.input_size"},
}
"""All that the arms of an experiment may differ in; small-data has a test of its own."""

NORMS = (ResponseNorm, WithinChannelLRN, BatchNorm)
LAYERS_THAT_DIFFER: dict[str, tuple[type[Layer], ...]] = {
    "relu-vs-tanh": (Activation,),
    "overlapping-pooling": (Pool,),
    "response-norm": NORMS,
    "dropout": (Dropout,),
    "augmentation": (),
    "weight-decay": (),
    "ten-views": (),
}

PLANS = [
    Plan(experiment=experiment, protocol_name=name)
    for experiment in EXPERIMENTS.values()
    for name in experiment.protocols
]
SMALL = [plan for plan in PLANS if plan.protocol_name != "imagenet"]


def called(plan: Plan) -> str:
    return f"{plan.experiment.name}-{plan.protocol_name}"


def measured(plan: Plan) -> dict[str, Recipe]:
    """Every arm's recipe at one rate and seed."""
    return {arm.name: plan.recipe(arm, 0.01, 0) for arm in plan.arms}


def flat(plain: Any, path: str = "") -> dict[str, Any]:
    """A recipe as {"model.norm": .., ..}."""
    if not isinstance(plain, dict):
        return {path: plain}
    return {
        key: value
        for name, part in plain.items()
        for key, value in flat(part, f"{path}.{name}".lstrip(".")).items()
    }


def differences(recipes: list[Recipe]) -> set[str]:
    rows = [flat(to_dict(recipe)) for recipe in recipes]
    return {key for key in rows[0] if len({json.dumps(row[key]) for row in rows}) > 1} - {"name"}


@pytest.mark.parametrize("plan", PLANS, ids=called)
def test_arms_differ_in_what_is_claimed_and_in_nothing_else(plan: Plan) -> None:
    if plan.experiment.name == "small-data":
        return
    found = differences(list(measured(plan).values()))
    if plan.protocol.arm_epochs:
        assert plan.protocol.base.target_train_error, "epochs are but a limit"
        found -= {"epochs"}
    assert found == MAY_DIFFER[plan.experiment.name]


@pytest.mark.parametrize("plan", PLANS, ids=called)
def test_the_networks_differ_in_the_claimed_layers_alone(plan: Plan) -> None:
    kinds = LAYERS_THAT_DIFFER.get(plan.experiment.name)
    if kinds is None:
        return
    tables = [build_architecture(recipe).layers for recipe in measured(plan).values()]
    kept = {tuple(layer for layer in table if not isinstance(layer, kinds)) for table in tables}
    assert len(kept) == 1
    assert len(set(tables)) == (len(tables) if kinds else 1)


@pytest.mark.parametrize("name", ["quick", "full", "imagenet"])
def test_bias_and_init_change_first_values_alone(name: ProtocolName) -> None:
    for experiment in ("bias-one", "init"):
        plan = Plan(experiment=EXPERIMENTS[experiment], protocol_name=name)
        tables = [build_architecture(recipe).layers for recipe in measured(plan).values()]
        assert len(set(tables)) == len(tables)
        assert len({tuple(without_first_values(one) for one in table) for table in tables}) == 1


def without_first_values(layer: Layer) -> Layer:
    return replace(layer, init=Init()) if isinstance(layer, Conv | FullyConnected) else layer


def test_the_remedies_of_small_data_differ_from_nothing_in_themselves_alone() -> None:
    plan = Plan(experiment=EXPERIMENTS["small-data"], protocol_name="full")
    recipes = measured(plan)
    decay, dropout = {"optimizer.weight_decay"}, {"model.dropout"}
    augmentation = {
        f"augment.{name}" for name in ("crop", "flip", "min_scale", "max_aspect_ratio", "color_std")
    }
    for size in (5, 10, 20, 40, 60):
        for remedy, wanted in {
            "augmentation": augmentation,
            "decay": decay,
            "dropout": dropout,
            "autoencoder": set[str](),
            "rbm": set[str](),
            "all-four": decay | dropout | augmentation,
        }.items():
            pair = [recipes[f"nothing-{size}"], recipes[f"{remedy}-{size}"]]
            assert differences(pair) == wanted
            assert pair[0].data_options.train_per_class == size
    starts = {arm.series: arm.begins_from for arm in plan.arms}
    assert starts.pop("all-four") == "autoencoder"
    assert starts.pop("fine-tuning") == "alexnet_owt"
    learnt = {name: start for name, start in starts.items() if start != "nothing"}
    assert learnt == {"autoencoder": "autoencoder", "rbm": "rbm"}


@pytest.mark.parametrize("plan", PLANS, ids=called)
def test_every_run_can_be_made_ready(plan: Plan) -> None:
    for arm in plan.arms:
        tuning = [plan.tuning_recipe(arm, 0.01)] if plan.tuned_arms else []
        for recipe in (plan.recipe(arm, 0.01, 0), *tuning):
            begun = replace(recipe, init_from="a file" if arm.begins_from != "nothing" else "")
            table = build_architecture(begun)
            preprocessing_for(table, begun.data_options)
            assert begun.epochs >= 1


def splits_of(recipe: Recipe) -> Splits:
    """The splits of a recipe, on as many pictures as its data set has."""
    classes, train, test = SIZES[recipe.data]
    labels = np.tile(np.arange(classes), train + test)
    own = ["train"] * classes * train + ["test"] * classes * test
    given = np.array(own if recipe.data == "cifar10" else [""] * len(labels))
    rows = np.arange(len(labels))
    share = test / (train + test)
    return split(recipe.data, rows, labels, given, share, recipe.data_options, recipe.seed)


@pytest.mark.parametrize("name", ["bias-one", "small-data"])
def test_no_rate_is_tuned_on_a_test_picture(name: str) -> None:
    """And every run of an experiment is judged on the same test pictures."""
    plan = Plan(experiment=EXPERIMENTS[name])
    tests = [splits_of(plan.recipe(plan.arms[0], 0.01, seed)).test for seed in (0, 1)]
    assert np.array_equal(*tests)
    assert len(tests[0]) > 0
    tuning = splits_of(plan.tuning_recipe(plan.arms[0], 0.01))
    assert len(tuning.val) >= 10 * SIZES[plan.protocol.base.data][0]
    assert not np.intersect1d(tests[0], np.concatenate([tuning.train, tuning.val])).size


@pytest.mark.parametrize("plan", SMALL, ids=called)
def test_seeds_and_splits_keep_tuning_and_test_apart(plan: Plan) -> None:
    """CIFAR-10 has its own test; elsewhere one split serves every seed."""
    for arm in plan.arms:
        recipe, tuning = plan.recipe(arm, 0.01, 0), plan.tuning_recipe(arm, 0.01)
        assert recipe.data == "cifar10" or recipe.data_options.split_seed is not None
        assert recipe.data_options.split_seed == tuning.data_options.split_seed
        assert tuning.seed not in plan.seeds
        _, train, _ = SIZES[recipe.data]
        assert tuning.data_options.val_fraction * train >= 10


@pytest.mark.parametrize("plan", SMALL, ids=called)
def test_costs_are_as_promised(plan: Plan) -> None:
    limit = {"quick": 6, "full": 90}[plan.protocol_name]
    assert 0 < minutes(plan) <= limit
    assert len(plan.seeds) >= 3


def test_full_relu_vs_tanh_uses_all_pictures_until_25_percent() -> None:
    base = EXPERIMENTS["relu-vs-tanh"].protocols["full"].base
    assert (base.data, base.data_options.train_per_class, base.data_options.val_fraction) == (
        "cifar10",
        None,
        0,
    )
    assert base.target_train_error == 0.25


def test_a_cost_by_hand() -> None:
    """Three seeds of two arms, four tuning runs, one of the arms twice as fast."""
    base = Recipe(data="flowers17", epochs=10)
    quick = Protocol(
        base=base,
        rates=(0.1, 0.2),
        tuning_epochs=5,
        tuning_share=0.2,
        pictures_per_second=100,
        arm_speeds={"dropout": 200},
    )
    plan = Plan(experiment=replace(EXPERIMENTS["dropout"], protocols={"quick": quick}))
    run = 10 * (17 * 60 + 17 * 20 / 3) + 17 * 20 / 3
    tuning = 5 * (17 * 48 + 17 * 12 / 3) + 17 * 1 / 3
    seconds = (3 * run + 2 * tuning) * (1 / 100 + 1 / 200) + 10 * 2
    assert minutes(plan) == pytest.approx(seconds / 60)


def test_published_effects_are_those_of_the_published_errors() -> None:
    errors = {facts.what.split(",")[0]: facts.top1_error for facts in ERRORS}
    columns = EXPERIMENTS["two-columns"].comparisons
    expected = {
        EXPERIMENTS["overlapping-pooling"].comparisons[0].expected: errors["net 147"]
        - errors["net 145"],
        columns[0].expected: errors["145-half"] - 0.375,
        columns[1].expected: errors["net 150"] - errors["net 145"],
        EXPERIMENTS["ten-views"].comparisons[0].expected: 0.390 - 0.375,
    }
    assert "1.4 points" in EXPERIMENTS["response-norm"].expected
    assert errors["net 148"] - errors["net 145"] == pytest.approx(0.014, abs=0.0006)
    for printed, difference in expected.items():
        assert printed == pytest.approx(difference, abs=0.0006)


def test_every_experiment_claims_something() -> None:
    for experiment in EXPERIMENTS.values():
        assert any(comparison.is_claim for comparison in experiment.comparisons)
        assert all(experiment.source and experiment.limits for _ in [0])


def test_values_that_cannot_be_an_experiment_are_refused() -> None:
    experiment = EXPERIMENTS["dropout"]
    stray = Comparison(name="x", better=("dropuot",), worse=("dropout",), at_least=0.1)
    with pytest.raises(ConfigError, match="dropuot"):
        replace(experiment, comparisons=(stray,))
    with pytest.raises(ConfigError, match="two arms"):
        replace(experiment, arms=(*experiment.arms, experiment.arms[0]))
    with pytest.raises(ConfigError, match="no effect"):
        Comparison(name="x", better=("a",), worse=("b",), at_least=1.0, scale="ratio")
    with pytest.raises(ConfigError, match="no verdict"):
        Protocol(base=Recipe(), rates=(0.1,), seeds=2)
    with pytest.raises(ConfigError, match="drpout"):
        with_changes(Recipe(), Arm(name="x", changes={"model.drpout": 0.0}))


# list, and the page


def test_list_tells_claim_source_limits_and_cost(command: Command) -> None:
    told = command("experiment", "list")
    assert (told.code, told.err) == (0, "")
    plain = " ".join(told.out.split())
    for experiment in EXPERIMENTS.values():
        for text in (experiment.name, experiment.claim, experiment.source, experiment.limits):
            assert " ".join(text.split()) in plain
    assert plain.count("on two cores") == len(PLANS)


def test_list_json_has_every_number(command: Command) -> None:
    facts = json.loads(command("experiment", "list", "--json").out)
    assert [fact["name"] for fact in facts] == list(EXPERIMENTS)
    first = facts[0]
    assert first["arms"] == ["relu", "tanh", "sigmoid"]
    assert first["comparisons"][0]["expected"] == 6.0
    assert first["protocols"]["quick"]["runs"] == 18
    assert 0 < first["protocols"]["quick"]["minutes"] <= 6
    one = json.loads(command("experiment", "list", "dropout", "--json").out)
    assert [fact["name"] for fact in one] == ["dropout"]


def test_docs_have_the_page_that_the_program_writes() -> None:
    """What is measured changes it; what is claimed must not differ."""
    page = (ROOT / "docs" / "claims.md").read_text()
    blank = page_text(())
    assert page.startswith(blank.partition("## Verdicts")[0])
    for experiment in EXPERIMENTS.values():
        section = re.search(rf"^## {experiment.name}\n\n(.*?)\*\*Measured", page, re.M | re.S)
        own = re.search(rf"^## {experiment.name}\n\n(.*?)\*\*Measured", blank, re.M | re.S)
        assert section is not None
        assert own is not None
        assert section.group(1) == own.group(1)


def test_a_bound_is_said_as_one() -> None:
    whole = Interval(estimate=3.81, low=3.5, high=4.0)
    assert estimate(whole, "ratio") == "3.81 x"
    assert estimate(replace(whole, is_open_above=True), "ratio") == "at least 3.81 x"
    assert estimate(replace(whole, is_open_below=True), "ratio") == "at most 3.81 x"


def test_every_line_of_a_picture_has_its_own_colour() -> None:
    lines = [{arm.series or arm.name for arm in plan.arms} for plan in PLANS]
    assert max(map(len, lines)) <= len(set(COLOURS))
