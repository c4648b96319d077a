"""How training behaves: what it learns, what it freezes and takes over, and where it stops."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import alexnet
from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import LRSchedule, OptimizerOptions, Recipe, StoppingOptions
from alexnet.errors import ConfigError, DivergedError, ModelFileError, TrainingError
from alexnet.models.variants import ModelOptions
from alexnet.records import EpochRecord
from alexnet.reporter import NullReporter
from alexnet.training import loop
from alexnet.training.epoch import epoch_record
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.step import train_step
from support.runs import SetAside, Witness, train
from support.slow import first_fast

pytestmark = pytest.mark.usefixtures("prepared_flowers")

RULES = ("paper", "sgd", "adam", "adamw", "keras_adam")
PLAIN = Augmentation(crop="center", flip=False, color_std=0.0)
AT_ONCE = LRSchedule(schedule="constant")
LEARNING = ModelOptions(width=0.1, input_size=67, dropout=0.0)


def one_wild_step(recipe: Recipe) -> Recipe:
    """The recipe with a single step, whose rate breaks the weights."""
    wild = OptimizerOptions(optimizer="sgd", lr=1e30)
    return replace(recipe, epochs=1, batch_size=36, optimizer=wild, schedule=AT_ONCE)


# what it learns


@pytest.mark.slow
def test_loss_falls(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, epochs=12, model=LEARNING, augment=PLAIN, schedule=AT_ONCE)
    history = train(recipe, out=tmp_path / "run").history
    assert history[-1].train_loss < 0.6 * history[0].train_loss
    assert history[-1].train_top1_error < history[0].train_top1_error - 0.3


@pytest.mark.skipif(os.name == "nt", reason="fcntl is Unix's")
def test_a_run_folder_without_file_locks_is_said_once(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    witness = Witness()
    train(replace(tiny, epochs=1), out=tmp_path / "run", reporter=witness)
    assert [text for text in witness.notes if "two processes" in text] == [
        f"the file system of {tmp_path / 'run'} has no file locks: do not let two processes work "
        "in this folder at the same time"
    ]
    assert (tmp_path / "run" / "result.json").exists()
    assert not (tmp_path / "run" / ".lock").exists()


@pytest.mark.slow
def test_eight_images_are_learned_to_zero_error(
    tiny: Recipe, flowers: Path, tmp_path: Path
) -> None:
    for name in ("daisy", "rose", "tulip", "lily"):
        shutil.copytree(flowers / "train" / name, tmp_path / "eight" / name)
        (tmp_path / "eight" / name / "0002.jpg").unlink()
    recipe = replace(
        tiny, data=str(tmp_path / "eight"), augment=PLAIN, schedule=AT_ONCE, epochs=25,
        data_options=replace(tiny.data_options, test_fraction=0.0), model=LEARNING,
    )  # fmt: skip
    run = train(recipe, out=tmp_path / "run")
    assert run.evaluation is None
    assert run.history[-1].eval_split is None
    assert run.history[-1].train_top1_error == 0
    for path in sorted((tmp_path / "eight").rglob("*.jpg")):
        (prediction,) = alexnet.load(run.folder.path).predict([path])
        assert prediction.top_classes[0].label == path.parent.name


@pytest.mark.parametrize("rule", first_fast(RULES, fast=2))
def test_lr_zero_changes_no_weight(tiny: Recipe, rule: str) -> None:
    """As at the first step of a warmup."""
    optimizer = OptimizerOptions(optimizer=rule, weight_decay=0.1)  # type: ignore[arg-type]
    setup = set_up_training(replace(tiny, optimizer=optimizer), NullReporter())
    before = {name: p.detach().clone() for name, p in setup.network.named_parameters()}
    pixels, labels = next(setup.batches.epoch(0))
    train_step(setup, torch.from_numpy(pixels), torch.from_numpy(labels), 0, 0.0)
    for name, parameter in setup.network.named_parameters():
        assert torch.equal(parameter, before[name]), name


# where it stops, and what it says


def test_a_run_whose_loss_is_not_finite_stops_and_names_the_step(
    tiny: Recipe, tmp_path: Path
) -> None:
    recipe = replace(tiny, optimizer=OptimizerOptions(optimizer="sgd", lr=1e30), schedule=AT_ONCE)
    with pytest.raises(TrainingError, match=r"at step 2; .*--lr than 1e\+30"):
        train(recipe, out=tmp_path / "run")
    assert not RunFolder(tmp_path / "run").result.exists()


def test_a_run_that_diverged_is_told_from_one_that_ended_otherwise(
    tiny: Recipe, tmp_path: Path
) -> None:
    """Where the loss is not finite, and where only the weights are not."""
    wild = replace(tiny, optimizer=OptimizerOptions(optimizer="sgd", lr=1e30), schedule=AT_ONCE)
    for number, recipe in enumerate((wild, one_wild_step(tiny))):
        with pytest.raises(DivergedError):
            train(recipe, out=tmp_path / str(number))


@pytest.mark.slow
def test_a_run_ends_after_the_epoch_whose_training_error_is_low_enough(
    tiny: Recipe, tmp_path: Path, witness: Witness
) -> None:
    """All epochs of the run without a goal; then with the second epoch's error for a goal."""
    steady = replace(tiny, schedule=AT_ONCE, model=LEARNING)
    free = train(steady, out=tmp_path / "free")
    errors = [record.train_top1_error for record in free.history]
    assert errors[1] < errors[0]
    aimed = replace(steady, stopping=StoppingOptions(target_train_error=errors[1]))
    run = train(aimed, out=tmp_path / "aimed", reporter=witness)
    assert [record.train_top1_error for record in run.history] == errors[:2]
    assert run.folder.result.exists()
    percent = f"{100 * errors[1]:.1f} %"
    said = f"ended after epoch 2: the training error is {percent} (--target-train-error "
    assert any(note.startswith(said) for note in witness.notes)


def test_weights_that_are_not_finite_are_never_the_best(tiny: Recipe, tmp_path: Path) -> None:
    """The last step of all breaks the weights; no later loss can tell."""
    with pytest.raises(TrainingError, match="step 1"):
        train(one_wild_step(tiny), out=tmp_path / "run")
    assert not RunFolder(tmp_path / "run").result.exists()


def test_outputs_that_overflow_after_the_last_step_have_diverged(
    small: Recipe, small_place: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are finite, and so are all losses of the training."""

    def overflow(setup: TrainingSetup, *arguments: Any) -> EpochRecord:
        for parameter in list(setup.network.parameters())[-2:]:
            parameter.data.fill_(3e38)
        return epoch_record(setup, *arguments)

    monkeypatch.setattr(loop, "epoch_record", overflow)
    message = r"^the val output is not finite after step 4; try a lower --lr$"
    with pytest.raises(DivergedError, match=message):
        train(small, out=tmp_path / "run")
    assert RunFolder(tmp_path / "run").diverged.exists()


def test_broken_weights_are_named_without_an_evaluated_split(
    tiny: Recipe, tmp_path: Path, set_aside: SetAside
) -> None:
    """No later loss and no evaluated loss can tell; the weights themselves must."""
    images = replace(tiny.data_options, test_fraction=0.0)
    recipe = replace(one_wild_step(tiny), data=str(set_aside("train")), data_options=images)
    assert set_up_training(recipe, NullReporter()).eval_split is None
    with pytest.raises(TrainingError, match=r"^conv1\.weight is not finite after step 1;"):
        train(recipe, out=tmp_path / "run")
    assert not RunFolder(tmp_path / "run").result.exists()


@pytest.mark.slow
def test_a_loss_that_stays_at_chance_is_noted_once_with_its_causes(
    tiny: Recipe, tmp_path: Path, witness: Witness
) -> None:
    recipe = replace(
        tiny,
        epochs=5,
        batch_size=36,
        augment=PLAIN,
        optimizer=OptimizerOptions(lr=1e-9),
        schedule=AT_ONCE,
        seed=1,
    )
    run = train(recipe, out=tmp_path / "run", reporter=witness)
    said = [note for note in witness.notes if "at chance level for 3 epochs" in note]
    assert len(said) == 1
    assert "91.7 % by always answering" in said[0]
    assert "--lr 1e-10, --lr 1e-08" in said[0]
    assert [sentence[:50] for sentence in run.advice].count(said[0][:50]) == 1
    assert json.loads(run.folder.result.read_text())["advice"] == list(run.advice)


@pytest.mark.slow
def test_a_loss_that_falls_is_not_called_stuck(
    tiny: Recipe, tmp_path: Path, witness: Witness
) -> None:
    recipe = replace(tiny, epochs=5, model=LEARNING, augment=PLAIN, schedule=AT_ONCE)
    train(recipe, out=tmp_path / "run", reporter=witness)
    assert not [note for note in witness.notes if "chance" in note]


# freezing and foreign weights


def test_frozen_layers_keep_weights_and_statistics(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    recipe = replace(tiny, freeze_up_to="pool2", epochs=1)
    with pytest.raises(ConfigError, match="add --from"):
        set_up_training(recipe, NullReporter())
    recipe = replace(recipe, init_from=str(trained.model))
    fresh = {
        k: v.clone()
        for k, v in set_up_training(recipe, NullReporter()).network.state_dict().items()
    }
    after = load_file(train(recipe, out=tmp_path / "run").folder.model)
    frozen = {name for name in fresh if name.split(".")[0] in ("conv1", "bn1", "conv2", "bn2")}
    assert len(frozen) == 12
    for name in fresh:
        assert torch.equal(fresh[name], after[name]) == (name in frozen), name


@pytest.mark.slow
def test_slowed_and_then_frozen(tiny: Recipe, tmp_path: Path, set_aside: SetAside) -> None:
    """conv1 as Code2012 treats it: as fast as the rest, then at 1e-5, then not at all."""
    recipe = replace(
        tiny, data=str(set_aside("train")), epochs=3, freeze_up_to="conv1", low_lr_after_epoch=1,
        freeze_after_epoch=2, schedule=AT_ONCE,
        data_options=replace(tiny.data_options, test_fraction=0.0),
        optimizer=OptimizerOptions(optimizer="sgd", lr=0.01, momentum=0.0),
    )  # fmt: skip
    history = train(recipe, out=tmp_path / "run").history
    moves = [{layer.name: layer.update for layer in record.layers} for record in history]
    assert [sorted(move) == sorted(moves[0]) for move in moves] == [True, True, False]
    assert "conv1.weight" not in moves[2]
    first, second = (move["conv1.weight"] for move in moves[:2])
    assert 0 < second < first / 100
    assert moves[1]["conv2.weight"] > moves[0]["conv2.weight"] / 100


def test_frozen_and_then_unfrozen(
    small: Recipe, small_place: RunFolder, small_whole: RunFolder, tmp_path: Path
) -> None:
    """As fastai's fine_tune: frozen for an epoch, then trained, here at a rate of its own."""
    recipe = replace(
        small, epochs=2, freeze_up_to="conv1", unfreeze_after_epoch=1, low_lr_after_epoch=0,
        low_lr=1e-7, schedule=AT_ONCE, init_from=str(small_whole.model),
        optimizer=OptimizerOptions(optimizer="sgd", lr=0.01, momentum=0.0),
    )  # fmt: skip
    history = train(recipe, out=tmp_path / "run").history
    frozen, trained_later = ({r.name: r.update for r in record.layers} for record in history)
    assert "conv1.weight" not in frozen
    assert "conv2.weight" in frozen
    assert 0 < trained_later["conv1.weight"] < trained_later["conv2.weight"] / 1000


def test_late_freezing_begins_after_its_epoch(
    tiny: Recipe, tmp_path: Path, set_aside: SetAside
) -> None:
    recipe = replace(
        tiny, data=str(set_aside("train")), freeze_up_to="pool1", freeze_after_epoch=1,
        schedule=AT_ONCE,
        data_options=replace(tiny.data_options, test_fraction=0.0),
    )  # fmt: skip
    fresh = set_up_training(recipe, NullReporter()).network.state_dict()
    one = load_file(train(replace(recipe, epochs=1), out=tmp_path / "one").folder.model)
    three = load_file(train(recipe, out=tmp_path / "three").folder.model)
    for name in ("conv1.weight", "bn1.weight", "bn1.running_mean"):
        assert not torch.equal(fresh[name], one[name]), name
        assert torch.equal(one[name], three[name]), name
    assert not torch.equal(one["conv2.weight"], three["conv2.weight"])


def test_init_from_nothing_that_fits_is_rejected(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    recipe = replace(
        tiny, init_from=str(trained.model), model=ModelOptions(width=0.1, input_size=67)
    )
    with pytest.raises(ModelFileError, match=r"none of the weights fit .*conv1.weight \(4x3x11x11"):
        train(recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
