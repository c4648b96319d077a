"""Every claim's experiment: its recipes can be set up, and its arms differ in the claim alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alexnet.benchmark.throughput import training_flops
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_dict
from alexnet.data.splits import Splits, split
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.claims.small_data import FULL_SIZES
from alexnet.experiments.cost import estimate_minutes
from alexnet.experiments.experiment import SPEED_MEASURES
from alexnet.experiments.plan import DATASET_SIZES, Plan
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
from alexnet.training.build import build_architecture
from alexnet.transforms.statistics import preprocessing_for
from published import ERRORS
from support.slow import every_nth_fast

MAY_DIFFER = {
    "relu-vs-tanh": {"model.activation", "model.norm"},
    "overlapping-pooling": {"model.pooling"},
    "response-norm": {"model.norm"},
    "dropout": {"model.dropout"},
    "augmentation": {"augment.crop", "augment.flip", "augment.color_std", "augment.noise_std"},
    "weight-decay": {"optimizer.weight_decay"},
    "ten-crop": set[str](),
    "two-columns": {"arch"},
    "bias-one": {"model.bias"},
    "init": {"model.init"},
    "batch-norm-vs-lrn": {"model.norm"},
    "lenet-vs-alexnet": {"arch", "model.channels", "model.width", "model.input_size"},
}
"""All that the arms of an experiment may differ in; small-data has a test of its own."""

NORMS = (ResponseNorm, WithinChannelLRN, BatchNorm)
LAYERS_THAT_DIFFER: dict[str, tuple[type[Layer], ...]] = {
    "relu-vs-tanh": (Activation, ResponseNorm),
    "overlapping-pooling": (Pool,),
    "response-norm": NORMS,
    "dropout": (Dropout,),
    "augmentation": (),
    "weight-decay": (),
    "ten-crop": (),
}


def plans_of(name: str) -> list[Plan]:
    """An experiment at all its sizes."""
    experiment = EXPERIMENTS[name]
    return [Plan(experiment=experiment, protocol_name=size) for size in experiment.protocols]


def small_plans_of(name: str) -> list[Plan]:
    """Without that on ImageNet, which is neither tuned nor priced."""
    return [plan for plan in plans_of(name) if plan.protocol_name != "imagenet"]


def measured(plan: Plan) -> dict[str, Recipe]:
    """Every arm's recipe at one learning rate and seed."""
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


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "small-data"])
def test_arms_differ_in_what_is_claimed_and_in_nothing_else(name: str) -> None:
    seen = set[str]()
    for plan in plans_of(name):
        found = differences(list(measured(plan).values()))
        if plan.protocol.arm_epochs:
            assert plan.protocol.base.stopping.target_train_error, "epochs are only a limit"
            found -= {"epochs"}
        assert found <= MAY_DIFFER[name]
        seen |= found
    assert seen == MAY_DIFFER[name]


@pytest.mark.parametrize("name", LAYERS_THAT_DIFFER)
def test_the_networks_differ_in_the_claimed_layers_alone(name: str) -> None:
    kinds = LAYERS_THAT_DIFFER[name]
    for plan in plans_of(name):
        nets = [build_architecture(recipe).layers for recipe in measured(plan).values()]
        kept = {tuple(layer for layer in net if not isinstance(layer, kinds)) for net in nets}
        assert len(kept) == 1
        assert len(set(nets)) == (len(nets) if kinds else 1)


@pytest.mark.parametrize("name", ["bias-one", "init"])
def test_bias_and_init_change_initial_values_alone(name: str) -> None:
    for plan in plans_of(name):
        nets = [build_architecture(recipe).layers for recipe in measured(plan).values()]
        assert len(set(nets)) == len(nets)
        assert len({tuple(without_initial_values(layer) for layer in net) for net in nets}) == 1


def without_initial_values(layer: Layer) -> Layer:
    return replace(layer, init=Init()) if isinstance(layer, Conv | FullyConnected) else layer


def test_the_remedies_of_small_data_differ_from_the_baseline_in_themselves_alone() -> None:
    plan = Plan(experiment=EXPERIMENTS["small-data"], protocol_name="full")
    recipes = measured(plan)
    decay, dropout = {"optimizer.weight_decay"}, {"model.dropout"}
    augmentation = {
        f"augment.{name}" for name in ("crop", "flip", "min_scale", "max_aspect_ratio", "color_std")
    }
    for size in FULL_SIZES:
        for remedy, wanted in {
            "augmentation": augmentation,
            "weight-decay": decay,
            "dropout": dropout,
            "autoencoder": set[str](),
            "rbm": set[str](),
            "all-four": decay | dropout | augmentation,
        }.items():
            pair = [recipes[f"baseline-{size}"], recipes[f"{remedy}-{size}"]]
            assert differences(pair) == wanted
            assert pair[0].data_options.train_per_class == size
    sources = {arm.series: arm.init_from for arm in plan.arms if arm.init_from != "random"}
    assert sources == {
        "autoencoder": "autoencoder",
        "rbm": "rbm",
        "all-four": "autoencoder",
        "fine-tuning": "alexnet_owt",
    }


@pytest.mark.parametrize("name", every_nth_fast(EXPERIMENTS, n=3))
def test_every_recipe_can_be_set_up(name: str) -> None:
    """Every arm once: arms that differ in the number of images alone are one case."""
    for plan in plans_of(name):
        for arm in {arm.series or arm.name: arm for arm in plan.arms}.values():
            tuning = [plan.tuning_recipe(arm, 0.01, 0)] if plan.tuned_arms else []
            for recipe in (plan.recipe(arm, 0.01, 0), *tuning):
                init_from = "scratch" if arm.init_from == "random" else "a file"
                net = build_architecture(replace(recipe, init_from=init_from))
                preprocessing_for(net, recipe.data_options)


def splits_of(recipe: Recipe) -> Splits:
    """The splits of a recipe, on as many images as its data set has."""
    num_classes, train, test = DATASET_SIZES[recipe.data]
    labels = np.tile(np.arange(num_classes), train + test)
    own = ["train"] * num_classes * train + ["test"] * num_classes * test
    given = np.array(own if recipe.data == "cifar10" else [""] * len(labels))
    indices = np.arange(len(labels))
    fraction = test / (train + test)
    return split(indices, labels, given, fraction, recipe.data_options, recipe.seed)


@pytest.mark.parametrize("name", ["bias-one", "small-data"])
def test_no_learning_rate_is_tuned_on_a_test_image(name: str) -> None:
    """And every run of an experiment is evaluated on the same test images."""
    plan = Plan(experiment=EXPERIMENTS[name])
    tests = [splits_of(plan.recipe(plan.arms[0], 0.01, seed)).test for seed in (0, 1)]
    assert np.array_equal(*tests)
    assert len(tests[0]) > 0
    tuning = splits_of(plan.tuning_recipe(plan.arms[0], 0.01, 0))
    if plan.experiment.measure not in SPEED_MEASURES:
        assert len(tuning.val) >= 10 * DATASET_SIZES[plan.protocol.base.data][0]
    assert not np.intersect1d(tests[0], np.concatenate([tuning.train, tuning.val])).size


@pytest.mark.parametrize("name", every_nth_fast(EXPERIMENTS, n=3))
def test_seeds_and_splits_keep_tuning_and_test_apart(name: str) -> None:
    """CIFAR-10 has its own test split; elsewhere one split serves every seed."""
    for plan in small_plans_of(name):
        for arm in plan.arms:
            recipe, tuning = plan.recipe(arm, 0.01, 0), plan.tuning_recipe(arm, 0.01, 0)
            assert recipe.data == "cifar10" or recipe.data_options.split_seed is not None
            assert recipe.data_options.split_seed == tuning.data_options.split_seed
            assert tuning.seed not in plan.seeds
            _, train, _ = DATASET_SIZES[recipe.data]
            num_val = tuning.data_options.val_fraction * train
            assert num_val == 0 if plan.experiment.measure in SPEED_MEASURES else num_val >= 10


@pytest.mark.parametrize("name", every_nth_fast(EXPERIMENTS, n=3))
def test_a_quick_protocol_takes_minutes(name: str) -> None:
    """On two cores that do 6e10 operations a second, as an AMD EPYC (Zen 5) with small nets."""
    minutes = estimate_minutes(
        Plan(experiment=EXPERIMENTS[name]),
        lambda recipe: 6e10 / training_flops(build_architecture(with_weights(recipe))),
    )
    assert minutes is not None
    assert 0 < minutes <= 30


def with_weights(recipe: Recipe) -> Recipe:
    """The recipe with a file of initial weights where it freezes layers."""
    return replace(recipe, init_from="a file") if recipe.freeze_up_to else recipe


def test_full_relu_vs_tanh_uses_all_images_until_25_percent() -> None:
    base = EXPERIMENTS["relu-vs-tanh"].protocols["full"].base
    assert (base.data, base.data_options.train_per_class, base.data_options.val_fraction) == (
        "cifar10",
        None,
        0,
    )
    assert base.stopping.target_train_error == 0.25


def test_published_effects_are_those_of_the_published_errors() -> None:
    errors = {facts.what.split(",")[0]: facts.top1_error for facts in ERRORS}
    columns = EXPERIMENTS["two-columns"].comparisons
    expected = {
        EXPERIMENTS["overlapping-pooling"].comparisons[0].expected: errors["net 147"]
        - errors["net 145"],
        columns[0].expected: errors["145-half"] - 0.375,
        columns[1].expected: errors["net 150"] - errors["net 145"],
        EXPERIMENTS["ten-crop"].comparisons[0].expected: 0.390 - 0.375,
    }
    assert "1.4 points" in EXPERIMENTS["response-norm"].expected
    assert errors["net 148"] - errors["net 145"] == pytest.approx(0.014, abs=0.0006)
    for printed, difference in expected.items():
        assert printed == pytest.approx(difference, abs=0.0006)
