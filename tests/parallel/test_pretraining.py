"""A pretraining that several processes share: layers of one, and the same bits when resumed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError, UsageError
from alexnet.models.architecture import Architecture
from alexnet.parallel.world import World, current_world
from alexnet.pretraining.batch_random import BatchRandom
from alexnet.pretraining.pretrainer import pretrain, resume_pretraining
from alexnet.pretraining.processes import folder_to_go_on
from alexnet.pretraining.recipe import PretrainRecipe, RbmRecipe, read_pretrain_recipe
from alexnet.pretraining.records import LayerStep
from alexnet.pretraining.run_files import layers_file, read_records
from alexnet.pretraining.stack import PretrainedLayer
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.training.processes import JOB, RESTARTS
from alexnet.training.run_folder import RunFolder
from support.pretraining import (
    LayerWitness,
    first_autoencoder,
    first_rbm,
    noise,
    seeded,
    small_recipe,
    smooth_images,
    tiny_arch,
)
from support.processes import Processes


class Stopping(LayerWitness):
    """Sends a signal to its process at a step."""

    def on_layer_step(self, report: LayerStep) -> None:
        if report.step == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)


def run(recipe: PretrainRecipe, out: Path) -> tuple[list[float], list[str]]:
    """Pretrain; the error of every step, and what was noted."""
    witness = LayerWitness()
    pretrain(recipe, out=out, plots=False, reporter=witness)
    return [step.error for step in witness.layer_steps], witness.notes


def stop_and_resume(recipe: PretrainRecipe, out: Path, stop_at: int) -> tuple[str, int]:
    """Pretrain until the main process gets a signal, then to the end; what the signal did."""
    with pytest.raises(TrainingInterrupted) as stopped:
        pretrain(recipe, out=out, plots=False, reporter=Stopping(stop_at))
    resume_pretraining(out, plots=False)
    return str(stopped.value), stopped.value.signal_number


def refused(recipe: PretrainRecipe, out: Path) -> str:
    with pytest.raises(ConfigError) as error:
        pretrain(recipe, out=out, plots=False)
    return str(error.value)


@pytest.fixture
def training(tiny: Recipe) -> Recipe:
    """Dropped and shifted at random, on uneven parts of a batch."""
    return replace(tiny, augment=replace(tiny.augment, color_std=0.1))


def recipe_of(kind: str, training: Recipe) -> PretrainRecipe:
    recipe = replace(small_recipe(kind, training), batch_size=11, probe_images=9)
    return replace(recipe, sample_visible=True) if isinstance(recipe, RbmRecipe) else recipe


def check_equal(recipe: PretrainRecipe, place: Path, processes: Processes, size: int) -> None:
    errors, _ = run(recipe, place / "one")
    (found, notes), *others = processes.run(run, recipe, place / "many")
    assert all(other == ([], []) for other in others)
    assert f"run folder {place / 'many'}" in notes
    np.testing.assert_allclose(found[:3], errors[:3], rtol=1e-5)
    np.testing.assert_allclose(found, errors, rtol=1e-3)
    one, many = RunFolder(place / "one"), RunFolder(place / "many")
    for first, second in zip(read_records(one), read_records(many), strict=True):
        assert second.train_error == pytest.approx(first.train_error, rel=1e-3)
        assert second.val_error == pytest.approx(first.val_error, rel=1e-3)
        assert second.activation_rate == pytest.approx(first.activation_rate, rel=1e-2)
    expected, weights = load_file(one.model), load_file(many.model)
    assert weights.keys() == expected.keys()
    for name, tensor in weights.items():
        scale = expected[name].abs().max()
        np.testing.assert_allclose(tensor / scale, expected[name] / scale, atol=2e-2)
    assert read_pretrain_recipe(many.config).devices == size
    assert {p.name for p in many.path.iterdir()} == {p.name for p in one.path.iterdir()}


def test_two_processes_pretrain_as_one(training: Recipe, tmp_path: Path, pair: Processes) -> None:
    recipe = replace(recipe_of("rbm", training), up_to="conv1", epochs=1)
    check_equal(recipe, tmp_path, pair, 2)


@pytest.mark.parametrize("kind", ["autoencoder", "rbm"])
def test_four_processes_pretrain_as_one(
    kind: str, training: Recipe, tmp_path: Path, four: Processes
) -> None:
    """With batch norm, and with two probe images or three in each."""
    check_equal(recipe_of(kind, training), tmp_path, four, 4)


@pytest.mark.parametrize("kind", ["autoencoder", "rbm"])
def test_two_processes_resume_a_pretraining_to_the_same_bits(
    kind: str, training: Recipe, tmp_path: Path, pair: Processes
) -> None:
    """A signal to one process ends both in conv2; the next session has the same number, or one."""
    recipe, whole, cut = recipe_of(kind, training), tmp_path / "whole", tmp_path / "cut"
    pair.run(run, recipe, whole)
    for message, number in pair.run(stop_and_resume, recipe, cut, 9):
        assert message.endswith(f"resume with: alexnet pretrain {kind} --resume {cut}")
        assert "stopped: conv1 finished" in message
        assert number == signal.SIGTERM
    for file in ("model.safetensors", "layers.safetensors"):
        assert (cut / file).read_bytes() == (whole / file).read_bytes()
    for path in (RunFolder(cut).result, layers_file(RunFolder(cut))):
        path.unlink()
    witness = LayerWitness()
    resume_pretraining(cut, plots=False, reporter=witness)
    assert any("processes 2 -> 1" in note for note in witness.notes)
    assert read_pretrain_recipe(cut).devices == 1
    weights, expected = (load_file(path / "model.safetensors") for path in (cut, whole))
    np.testing.assert_allclose(weights["conv1.weight"], expected["conv1.weight"], atol=2e-3)


def test_a_batch_of_fewer_images_than_processes_is_refused(
    training: Recipe, tmp_path: Path, pair: Processes
) -> None:
    recipe = replace(recipe_of("rbm", training), batch_size=1)
    for text in pair.run(refused, recipe, tmp_path / "run"):
        assert "a batch of 1 images cannot be spread over 2 processes" in text


def test_an_image_gets_the_same_numbers_in_any_process() -> None:
    whole = BatchRandom(seeded(), 7, slice(0, 7))
    expected = whole.uniform((7, 2, 3)), whole.normal((7, 4))
    for rows in World(0, 3).all_rows(7):
        random, n = BatchRandom(seeded(), 7, rows), rows.stop - rows.start
        assert random.share == n / 7
        for tensor, found in zip(
            expected, (random.uniform((n, 2, 3)), random.normal((n, 4))), strict=True
        ):
            assert (found == tensor[rows]).all()


@pytest.mark.parametrize("first", [first_autoencoder, first_rbm])
def test_the_gradients_of_uneven_parts_of_a_batch_add_up(
    first: Callable[[Architecture, Tensor], PretrainedLayer],
) -> None:
    """Of the masks and samples of the whole batch, and of sparsity, each part has its share."""
    arch = tiny_arch("lenet5")
    x = smooth_images(arch, 7)
    layer = first(arch, x)
    sums = [torch.zeros_like(parameter) for parameter in layer.parameters()]
    for rows in World(0, 3).all_rows(7):
        random = BatchRandom(seeded(), 7, rows)
        loss, _ = layer.loss(x[rows], random)
        parts = torch.autograd.grad(loss * random.share, list(layer.parameters()))
        torch._foreach_add_(sums, list(parts))
    whole, _ = layer.loss(x, noise(7))
    for found, expected in zip(
        sums, torch.autograd.grad(whole, list(layer.parameters())), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_one_process_is_told_how_to_start_several(training: Recipe, tmp_path: Path) -> None:
    recipe = replace(recipe_of("rbm", training), devices=2)
    with pytest.raises(UsageError, match=r"needs 2 processes: .* alexnet pretrain rbm --devices 2"):
        pretrain(recipe, out=tmp_path / "run")


@pytest.mark.slow
def test_a_job_of_torchrun_goes_on_with_the_pretraining_it_began(
    training: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(JOB, "a job")
    recipe = replace(recipe_of("rbm", training), up_to="conv1", epochs=1)
    assert current_world().size == 1
    with pytest.raises(TrainingInterrupted):
        pretrain(recipe, out=tmp_path / "run", plots=False, reporter=LayerWitness(2))
    monkeypatch.setenv(RESTARTS, "1")
    assert folder_to_go_on(replace(recipe, devices=2), tmp_path / "run") == tmp_path / "run"
    assert folder_to_go_on(replace(recipe, seed=5), tmp_path / "run") is None
    result = pretrain(recipe, out=tmp_path / "run", plots=False)
    assert result.folder.path == tmp_path / "run"
