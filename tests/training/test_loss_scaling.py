"""Training in fp16: the scale of the loss, skipped steps, checkpoints."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.checkpoints.tensors import load_tensors
from alexnet.config.recipe import OptimizerOptions, Precision, Recipe
from alexnet.config.serialization import field_types
from alexnet.errors import DivergedError
from alexnet.models.network import Network, create_model
from alexnet.reporter import NullReporter
from alexnet.training.loss_scaling import GROWTH_INTERVAL, LossScaler, build_loss_scaler
from alexnet.training.optimizers import build_optimizer
from alexnet.training.overfit import overfit_one_batch
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import set_up_training
from alexnet.training.state import CheckpointInfo
from alexnet.training.step import UpdateSetup, set_up_update, train_step, update
from support.runs import Witness, cut_off, resume, train
from support.slow import first_fast
from support.steps import first_batch

CPU = torch.device("cpu")
PAPER = OptimizerOptions(optimizer="paper", lr=0.005)


def make_step(
    recipe: Recipe, arch: str = "alexnet_bn"
) -> tuple[Network, UpdateSetup, Tensor, Tensor]:
    """A small network, its update, and a batch."""
    torch.manual_seed(0)
    network = create_model(arch, width=0.1, input_size=67, num_classes=4, dropout=0.0)
    images = torch.randn(8, *network.architecture.input)
    images = images.contiguous(memory_format=torch.channels_last)
    return network, set_up_update(network, recipe), images, torch.arange(8) % 4


def ten_losses(precision: Precision) -> list[float]:
    recipe = Recipe(precision=precision, optimizer=PAPER)
    _, setup, images, labels = make_step(recipe)
    return [update(setup, images, labels)[0].item() for _ in range(10)]


def test_ten_steps_have_the_losses_of_float32() -> None:
    """Within 2 %; the loss falls by more than that."""
    expected = ten_losses("float32")
    assert ten_losses("fp16") == pytest.approx(expected, rel=0.02)
    assert expected[-1] < 0.95 * expected[0]


def test_the_scale_is_that_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 100 steps of which some have a gradient that is not finite; it grows after each 20."""
    monkeypatch.setattr("alexnet.training.loss_scaling.GROWTH_INTERVAL", 20)
    weight = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([weight], 0.0)
    theirs, ours = torch.amp.GradScaler("cpu", growth_interval=20), LossScaler()
    skipped = {0, 1, 2, 10, 55, 75}
    for step in range(100):
        gradient = math.inf if step in skipped else 1.0
        weight.grad = (theirs.scale(torch.tensor(1.0)) * gradient).detach()
        theirs.step(optimizer)
        theirs.update()
        ours.end_step(is_skipped=step in skipped)
        state = theirs.state_dict()
        assert (ours.scale, ours.growth_steps) == (state["scale"], state["_growth_tracker"])
    assert ours.skipped_steps == len(skipped)


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("optimizer", get_args(field_types(OptimizerOptions)["optimizer"]))
def test_the_weights_are_those_of_torchs_scaler_to_the_bit(
    optimizer: Any, clip_norm: float | None
) -> None:
    """Also with steps that are skipped, since the scale is too large.

    Not the first one: torch's fused SGD would go on with momentum from uninitialized memory.
    """
    options = OptimizerOptions(optimizer=optimizer, lr=0.01, clip_norm=clip_norm)
    recipe = Recipe(precision="fp16", optimizer=options)
    network, setup, images, labels = make_step(recipe)
    other, scaler = copy.deepcopy(network), setup.scaler
    assert scaler
    their_optimizer = build_optimizer(other, options)
    theirs = torch.amp.GradScaler("cpu")
    for step in range(10):
        update(setup, images, labels)
        their_optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            logits = other(images)
        theirs.scale(F.cross_entropy(logits, labels)).backward()  # type: ignore[no-untyped-call]
        theirs.unscale_(their_optimizer)
        if clip_norm:
            nn.utils.clip_grad_norm_(other.parameters(), clip_norm)
        theirs.step(their_optimizer)
        theirs.update()
        if step == 1:
            scaler.scale = 2.0**24
            theirs.update(2.0**24)
    assert 0 < scaler.skipped_steps < 8
    assert scaler.scale == theirs.get_scale()
    for ours, their in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, their)


def test_without_a_scale_small_gradients_are_lost() -> None:
    """A loss of 1e-7 has gradients below the smallest number of fp16."""
    recipe = Recipe(precision="fp16", optimizer=PAPER)
    zeros = {}
    for scale in (1.0, 2.0**16):
        network, _, images, labels = make_step(recipe)
        with torch.autocast("cpu", torch.float16):
            logits = network(images)
        (F.cross_entropy(logits, labels) * 1e-7 * scale).backward()  # type: ignore[no-untyped-call]
        gradient = network.conv1.weight.grad
        assert isinstance(gradient, Tensor)
        zeros[scale] = (gradient == 0).double().mean().item()
    assert zeros[1.0] > 0.5
    assert zeros[2.0**16] < 0.1


@pytest.mark.parametrize("optimizer", first_fast(["paper", "adamw", "keras_adam"]))
def test_a_skipped_step_changes_the_scale_and_no_weight(optimizer: str, tiny: Recipe) -> None:
    """Nor momentum; batch norm's statistics have seen the images, as under torch's scaler."""
    options = OptimizerOptions(optimizer=optimizer, lr=0.01, clip_norm=1.0)  # type: ignore[arg-type]
    setup = set_up_training(replace(tiny, precision="fp16", optimizer=options), NullReporter())
    assert setup.loss_scaler
    pixels, labels = first_batch(setup)
    train_step(setup, pixels, labels, 0, 1e-3)
    setup.loss_scaler.scale = 2.0**40
    weights = [p.detach().clone() for p in setup.network.parameters()]
    state = copy.deepcopy(setup.optimizer.state_dict()["state"])
    statistics = [b.clone() for b in setup.network.buffers()]
    loss, logits, _ = train_step(setup, pixels, labels, 1, 1e-3)
    assert setup.loss_scaler == LossScaler(scale=2.0**39, growth_steps=0, skipped_steps=1)
    assert torch.isfinite(loss)
    assert logits.isfinite().all()
    assert all(map(torch.equal, setup.network.parameters(), weights))
    for index, values in setup.optimizer.state_dict()["state"].items():
        assert all(torch.equal(values[key], state[index][key]) for key in values)
    assert not all(map(torch.equal, setup.network.buffers(), statistics))


def test_a_step_that_would_be_skipped_at_a_scale_of_one_ends_the_run() -> None:
    recipe = Recipe(precision="fp16", optimizer=PAPER)
    network, setup, images, labels = make_step(recipe)
    network.conv2.weight.register_hook(lambda gradient: gradient * math.inf)  # type: ignore[union-attr]
    assert setup.scaler
    setup.scaler.scale = 2.0
    update(setup, images, labels)
    assert setup.scaler.scale == 1
    told = r"gradient of conv2\.weight .* at step 8, even with a loss scale of 1 in fp16; .*float32"
    with pytest.raises(DivergedError, match=told):
        update(setup, images, labels, 7)


def test_a_loss_that_is_not_finite_ends_the_run_at_once() -> None:
    recipe = Recipe(precision="fp16", optimizer=PAPER)
    _, setup, images, labels = make_step(recipe)
    with pytest.raises(DivergedError, match=r"the loss is nan .*fp16 ends at 65,504"):
        update(setup, images * 1e6, labels)
    assert setup.scaler == LossScaler()


def test_micro_batches_give_the_update_of_the_batch() -> None:
    moved = []
    for accumulate in (1, 2):
        options = replace(PAPER, accumulate=accumulate)
        recipe = Recipe(precision="fp16", optimizer=options, batch_size=8 // accumulate)
        network, setup, images, labels = make_step(recipe, "lenet5")
        before = [p.detach().clone() for p in network.parameters()]
        update(setup, images, labels)
        moved.append([p.detach() - b for p, b in zip(network.parameters(), before, strict=True)])
    for whole, parts in zip(*moved, strict=True):
        torch.testing.assert_close(parts, whole, rtol=0, atol=0.01 * whole.abs().max().item())


def test_a_run_that_is_killed_and_resumed_has_the_same_bits(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also its scale, which steps before the kill have halved, and steps after it have doubled."""
    monkeypatch.setattr("alexnet.training.loss_scaling.GROWTH_INTERVAL", 4)
    recipe = replace(small, precision="fp16", keep_state=True)
    begin_high(monkeypatch)
    whole = train(recipe, out=tmp_path / "whole").folder
    folder = cut_off(recipe, tmp_path / "run", 7)
    saved = scaler_of(folder)
    assert saved.skipped_steps > 0
    assert 0 < saved.growth_steps < 4
    run = resume(folder.path).folder
    assert run.model.read_bytes() == whole.model.read_bytes()
    assert run.metrics.read_bytes() == whole.metrics.read_bytes()
    assert scaler_of(run) == scaler_of(whole)
    assert scaler_of(whole).skipped_steps > saved.skipped_steps


def begin_high(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs begin with a scale at which the first steps are skipped."""
    monkeypatch.setattr(
        "alexnet.training.setup.build_loss_scaler", lambda *_: LossScaler(scale=2.0**24)
    )


def scaler_of(folder: RunFolder) -> LossScaler:
    """That of the newest checkpoint."""
    _, info = load_tensors(folder.saved_checkpoints()[-1], CheckpointInfo)
    assert info.loss_scaler
    return info.loss_scaler


def test_skipped_steps_are_told_at_the_end(
    small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, witness: Witness
) -> None:
    begin_high(monkeypatch)
    train(replace(small, precision="fp16"), out=tmp_path / "run", reporter=witness)
    assert any(note.startswith("fp16: ") and " of 12 steps were skipped" in note
               for note in witness.notes)  # fmt: skip


def test_a_batch_is_learned_as_in_bf16(tiny: Recipe) -> None:
    """To an error of 0, in about as many steps."""
    fp16, bf16 = (
        overfit_one_batch(replace(tiny, precision=precision), NullReporter())
        for precision in get_args(Literal["fp16", "bf16"])
    )
    assert fp16[-1].top1_error == bf16[-1].top1_error == 0
    assert abs(len(fp16) - len(bf16)) <= 5


def test_only_fp16_has_a_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_loss_scaler(CPU, "fp16") == LossScaler()
    assert build_loss_scaler(CPU, "bf16") is None
    assert build_loss_scaler(CPU, "float32") is None


def test_the_interval_is_torchs() -> None:
    state = torch.amp.GradScaler("cpu").state_dict()
    assert (state["growth_interval"], state["growth_factor"], 1 / state["backoff_factor"]) == (
        GROWTH_INTERVAL, 2.0, 2.0,
    )  # fmt: skip
