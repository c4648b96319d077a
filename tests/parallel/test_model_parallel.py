"""Training steps of columns and hybrids follow those of one process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from alexnet.config.augmentation import Augmentation
from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import BalanceOptions, OptimizerOptions, Recipe
from alexnet.errors import AlexNetError, ConfigError
from alexnet.reporter import NullReporter
from alexnet.training.setup import set_up_training
from support.processes import Processes
from support.steps import assert_close, assert_same_bits, follow, paper

COLUMNS = DistributedOptions(parallel="columns")
HYBRID = DistributedOptions(parallel="hybrid")
SCHEMES = {
    "columns": COLUMNS,
    "all": HYBRID,
    "turns": replace(HYBRID, exchange="turns"),
    "slices": replace(HYBRID, exchange="slices"),
}


def cases(tiny: Recipe) -> dict[str, Recipe]:
    base = paper(tiny)
    frozen = {"freeze_up_to": "conv5", "freeze_after_epoch": 1}
    fields: dict[str, dict[str, Any]] = {
        "paper": {},
        "accumulate": {"batch_size": 5, "optimizer": OptimizerOptions(lr=0.02, accumulate=2)},
        "cutmix": {"augment": Augmentation(cutmix=0.7, min_scale=0.5)},
        "balance": {"balance": BalanceOptions(class_weights="balanced")},
        "clip, average": {"optimizer": OptimizerOptions(lr=0.02, clip_norm=0.1, ema=0.9)},
        "adamw": {"optimizer": OptimizerOptions(optimizer="sgd", lr=0.02)},
        "freeze": {**frozen, "low_lr_after_epoch": 0},
    }
    return {name: replace(base, **changed) for name, changed in fields.items()}


NAMES = ["clip, average", "paper", "accumulate", "cutmix", "balance", "adamw", "freeze"]


@pytest.mark.parametrize("scheme", ["columns", "slices", "all", "turns"])
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_follow_one(scheme: str, name: str, tiny: Recipe, pair: Processes) -> None:
    recipe = cases(tiny)[name]
    freeze_at = 1 if name == "freeze" else None
    first, second = pair.run(follow, replace(recipe, distributed=SCHEMES[scheme]), freeze_at)
    assert_same_bits(first, second)
    assert_close(first, follow(recipe, freeze_at))
    assert first["losses"][-1] != first["losses"][0]


@pytest.mark.parametrize("scheme", ["all", "turns", "slices"])
@pytest.mark.parametrize("name", NAMES)
def test_four_processes_follow_one(scheme: str, name: str, tiny: Recipe, four: Processes) -> None:
    recipe = cases(tiny)[name]
    freeze_at = 1 if name == "freeze" else None
    first, *others = four.run(follow, replace(recipe, distributed=SCHEMES[scheme]), freeze_at)
    for other in others:
        assert_same_bits(other, first)
    assert_close(first, follow(recipe, freeze_at))


@pytest.mark.parametrize("scheme", ["data", "columns", "slices"])
def test_layers_are_frozen_and_then_trained(
    scheme: str, tiny: Recipe, pair: Processes, tmp_path: Path
) -> None:
    recipe = replace(paper(tiny), epochs=2)
    network = set_up_training(recipe, NullReporter()).network
    torch.save(network.state_dict(), weights := tmp_path / "weights.pt")
    recipe = replace(recipe, init_from=str(weights), freeze_up_to="conv5", unfreeze_after_epoch=1)
    options = SCHEMES.get(scheme, replace(COLUMNS, parallel="data"))
    first, second = pair.run(follow, replace(recipe, distributed=options), 1)
    assert_same_bits(first, second)
    assert_close(first, alone := follow(recipe, 1))
    weight = network.get_submodule("conv1").weight
    assert not torch.equal(alone["weights"]["conv1.weight"], weight)
    assert torch.equal(follow(recipe)["weights"]["conv1.weight"], weight)


@pytest.mark.parametrize("scheme", ["columns", "all"])
def test_batch_norm(scheme: str, tiny: Recipe, pair: Processes) -> None:
    """Columns see the whole batch; a hybrid's convolutions need --sync-batch-norm for it."""
    recipe = replace(paper(tiny), arch="alexnet_bn")
    options = replace(SCHEMES[scheme], sync_batch_norm=scheme == "all")
    first, second = pair.run(follow, replace(recipe, distributed=options))
    assert_same_bits(first, second)
    assert_close(first, follow(recipe))
    if scheme == "all":
        own, other = pair.run(follow, replace(recipe, distributed=HYBRID))
        assert_same_bits(own, other)
        assert own["losses"] != first["losses"]


def test_compressed_gradients(tiny: Recipe, pair: Processes) -> None:
    options = replace(HYBRID, gradient_compression="bf16")
    first, second = pair.run(follow, replace(paper(tiny), distributed=options))
    assert_same_bits(first, second)
    alone = follow(paper(tiny))
    assert_close(first, alone, 1e-3)
    assert first["losses"] != alone["losses"]


def refusal(recipe: Recipe) -> str:
    try:
        follow(recipe)
    except AlexNetError as error:
        return str(error)
    return ""


def test_what_cannot_be_spread_is_refused_by_all(tiny: Recipe, pair: Processes) -> None:
    recipe = replace(paper(tiny), distributed=COLUMNS)
    for message in pair.run(refusal, replace(recipe, arch="alexnet_owt")):
        assert message.startswith("alexnet_owt has no columns")
    diverging = replace(recipe, optimizer=OptimizerOptions(lr=1e30, clip_norm=1e30))
    for options in (COLUMNS, HYBRID):
        first, second = pair.run(refusal, replace(diverging, distributed=options))
        assert first == second
        assert "no weight was updated" in first


@pytest.mark.parametrize(
    "options",
    [
        {"exchange": "turns"},
        {"parallel": "columns", "exchange": "slices"},
        {"parallel": "columns", "gradient_compression": "bf16"},
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--parallel"):
        DistributedOptions(**options)


def test_compile_needs_a_whole_network(tiny: Recipe) -> None:
    with pytest.raises(ConfigError, match="--parallel hybrid does not work with --compile"):
        replace(tiny, compile=True, distributed=HYBRID)
