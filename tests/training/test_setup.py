"""Everything a training loop needs, from a recipe: what is loaded, checked and rejected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from alexnet.config.recipe import BalanceOptions, DataOptions, Recipe
from alexnet.data.splits import Splits
from alexnet.data.store.store import Store
from alexnet.errors import AlexNetError, ConfigError
from alexnet.models.network import check_compiler
from alexnet.models.zoo import architecture
from alexnet.reporter import NullReporter
from alexnet.training import setup as module
from alexnet.training.build import build_architecture, build_batches
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import set_up_training
from support.runs import SetAside, Witness


def test_init_from_loads_what_matches_and_reports_it(
    tiny: Recipe, trained: RunFolder, tmp_path: Path, witness: Witness
) -> None:
    foreign = load_file(trained.model)
    foreign["fc8.weight"] = torch.zeros(5, foreign["fc8.weight"].shape[1])
    del foreign["fc8.bias"]
    run = tmp_path / "foreign"
    run.mkdir()
    save_file({f"model.{name}": t for name, t in foreign.items()}, run / "model.safetensors")
    recipe = replace(tiny, init_from=str(run))
    setup = set_up_training(recipe, witness)
    fresh = set_up_training(tiny, NullReporter()).network
    assert torch.equal(setup.network.get_parameter("conv3.weight"), foreign["conv3.weight"])
    for name in ("fc8.weight", "fc8.bias"):
        assert torch.equal(setup.network.get_parameter(name), fresh.get_parameter(name)), name
    told = " ".join(witness.notes)
    assert "foreign: " in told
    assert "fc8.weight (5x52, here 12x52)" in told
    assert "foreign: bn1, conv1, bn2, conv2" in told
    assert "fc7; randomly initialized: fc8" in told


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t[:, :1], r"conv2\.weight \(\d+x1x5x5, here \d+x\d+x5x5\);"),
        (None, r"no conv2\.weight;"),
    ],
    ids=["of another shape", "missing"],
)
def test_a_layer_that_the_file_does_not_fit_is_not_frozen(
    tiny: Recipe,
    trained: RunFolder,
    tmp_path: Path,
    change: Callable[[torch.Tensor], torch.Tensor] | None,
    reason: str,
) -> None:
    weights = load_file(trained.model)
    conv2 = weights.pop("conv2.weight")
    if change:
        weights["conv2.weight"] = change(conv2).contiguous()
    del weights["bn1.weight"]  # which is not random
    save_file(weights, tmp_path / "w.safetensors")
    recipe = replace(tiny, init_from=str(tmp_path / "w.safetensors"), freeze_up_to="conv3")
    with pytest.raises(ConfigError, match=rf"^--freeze-up-to conv3 would .* has {reason} freeze"):
        set_up_training(recipe, NullReporter())
    for options in ({"freeze_up_to": "conv1"}, {"freeze_up_to": ""}, {"freeze_after_epoch": 1}):
        set_up_training(replace(recipe, **options), NullReporter())


def test_slowing_needs_a_later_freezing() -> None:
    with pytest.raises(ConfigError, match="--low-lr-after-epoch 3 needs"):
        Recipe(low_lr_after_epoch=3, freeze_up_to="conv1", freeze_after_epoch=2)


@pytest.mark.parametrize("options", [{}, {"freeze_up_to": "conv1", "freeze_after_epoch": 2}])
def test_unfreezing_needs_layers_that_are_frozen_before(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--unfreeze-after-epoch 3 needs --freeze-up-to, and no"):
        Recipe(unfreeze_after_epoch=3, **options)


@pytest.mark.parametrize(
    ("options", "frozen"),
    [
        ({}, [True, True, True]),
        ({"freeze_after_epoch": 1}, [False, True, True]),
        ({"unfreeze_after_epoch": 1}, [True, False, False]),
        ({"unfreeze_after_epoch": 0}, [False, False, False]),
    ],
)
def test_the_epochs_in_which_layers_are_frozen(options: dict[str, Any], frozen: list[bool]) -> None:
    recipe = Recipe(freeze_up_to="conv1", **options)
    assert [recipe.is_frozen(epoch) for epoch in range(3)] == frozen
    assert not Recipe().is_frozen(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze_up_to": "pool2"}, "would freeze randomly initialized layers: add --from"),
        (
            {"freeze_up_to": "pool2", "unfreeze_after_epoch": 1},
            "would freeze randomly initialized layers: add --from",
        ),
        ({"freeze_up_to": "conv9"}, "unknown layer of alexnet_bn 'conv9'; did you mean conv"),
        ({"freeze_up_to": "fc8", "init_from": "x"}, "--freeze-up-to fc8 leaves nothing to learn"),
        ({"data_options": DataOptions(resize_size=60)}, "67 pixels"),
    ],
    ids=str,
)
def test_what_cannot_work_is_rejected_before_the_data_is_opened(
    tiny: Recipe, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AlexNetError, match=message):
        build_architecture(replace(tiny, **options))


def test_without_an_evaluated_split_there_is_none(tiny: Recipe, set_aside: SetAside) -> None:
    options = replace(tiny.data_options, test_fraction=0.0)
    recipe = replace(tiny, data=str(set_aside("train")), data_options=options)
    assert set_up_training(recipe, NullReporter()).eval_split is None
    assert set_up_training(tiny, NullReporter()).eval_split == "val"


def test_images_that_fill_no_batch_are_told_unless_classes_are_sampled_equally(
    tiny: Recipe, witness: Witness
) -> None:
    splits = Splits(train=np.arange(36), val=np.arange(0), test=np.arange(0))
    recipe, arch, store = replace(tiny, batch_size=20), architecture(tiny.arch), Mock(spec=Store)
    build_batches(recipe, arch, store, splits, witness)
    told = "an epoch is 1 batch of 20: 20 of 36 training images, others in each epoch"
    assert witness.notes == [f"{told}; --batch-size 18 uses 36"]
    balance = BalanceOptions(balanced_sampling=True)
    build_batches(replace(recipe, balance=balance), arch, store, splits, witness)
    assert len(witness.notes) == 1


@pytest.mark.parametrize("error", [RuntimeError, ImportError])
def test_without_a_compiler_a_compiled_training_ends_before_its_data_is_prepared(
    tiny: Recipe, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(function: object, **options: object) -> None:
        raise error("Cannot find a working triton installation.\n\nSet TORCHDYNAMO_VERBOSE=1 for")

    prepare = Mock()
    monkeypatch.setattr(torch, "compile", fail)
    monkeypatch.setattr(module, "prepare_data", prepare)
    check_compiler.cache_clear()
    told = (
        r"^torch\.compile does not work here; leave out --compile \(Cannot find a working triton "
    )
    with pytest.raises(ConfigError, match=rf"{told}installation\.\)$"):
        set_up_training(replace(tiny, compile=True), NullReporter())
    prepare.assert_not_called()
