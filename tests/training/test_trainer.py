"""How training behaves: what it learns, what it freezes and takes over, and where it stops."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

import alexnet
from alexnet.config.recipe import Augmentation, LRSchedule, OptimizerOptions, Recipe
from alexnet.errors import ConfigError, DivergedError, ModelFileError, TrainingError
from alexnet.models.variants import ModelOptions
from alexnet.reporter import NullReporter
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.step import train_step
from alexnet.training.trainer import train
from support.runs import SetAside, Witness

RULES = ("paper", "sgd", "adam", "adamw", "keras_adam")
PLAIN = Augmentation(crop="center", flip=False, color_std=0.0)
AT_ONCE = LRSchedule(schedule="constant")
LEARNING = ModelOptions(width=0.1, input_size=67, dropout=0.0)

pytestmark = pytest.mark.usefixtures("no_plots")


def first_batch(job: TrainingSetup) -> tuple[Tensor, Tensor]:
    """The first batch of a run."""
    pixels, labels = next(job.batches.epoch(0))
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def one_wild_step(recipe: Recipe) -> Recipe:
    """The recipe with a single step, whose rate breaks the weights."""
    wild = OptimizerOptions(optimizer="sgd", lr=1e30)
    return replace(recipe, epochs=1, batch_size=36, optimizer=wild, schedule=AT_ONCE)


# what it learns


def test_first_loss_is_that_of_knowing_nothing(tiny: Recipe) -> None:
    job = set_up_training(tiny, NullReporter())
    loss, logits, _ = train_step(job, *first_batch(job), 0, 0.0)
    assert logits.shape == (8, 12)
    assert loss.item() == pytest.approx(math.log(12), abs=0.15)


def test_every_parameter_gets_a_gradient_and_moves(tiny: Recipe) -> None:
    job = set_up_training(tiny, NullReporter())
    before = {name: p.detach().clone() for name, p in job.network.named_parameters()}
    train_step(job, *first_batch(job), 0, 1e-3)
    for name, parameter in job.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert not torch.equal(parameter, before[name]), name


def test_a_step_is_one_update(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    job, updates = set_up_training(tiny, NullReporter()), []
    step = job.optimizer.step
    monkeypatch.setattr(job.optimizer, "step", lambda *a: (updates.append(1), step(*a))[1])
    train_step(job, *first_batch(job), 0, 1e-3)
    assert len(updates) == 1


def test_loss_falls(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, epochs=12, model=LEARNING, augment=PLAIN, schedule=AT_ONCE)
    history = train(recipe, out=tmp_path / "run").history
    assert history[-1].train_loss < 0.6 * history[0].train_loss
    assert history[-1].train_top1_error < history[0].train_top1_error - 0.3


def test_eight_pictures_are_learnt_to_zero_error(
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


@pytest.mark.parametrize("rule", RULES)
def test_rate_zero_changes_no_weight(tiny: Recipe, tmp_path: Path, rule: str) -> None:
    optimizer = OptimizerOptions(optimizer=rule, lr=0.0, weight_decay=0.1)  # type: ignore[arg-type]
    recipe = replace(tiny, optimizer=optimizer, epochs=1, data=tiny.data)
    fresh = set_up_training(recipe, NullReporter()).network
    after = load_file(train(recipe, out=tmp_path / "run").folder.model)
    for name, parameter in fresh.named_parameters():
        assert torch.equal(parameter, after[name]), name


def test_label_smoothing_is_the_mixture_of_both_losses(tiny: Recipe) -> None:
    job = set_up_training(replace(tiny, label_smoothing=0.3), NullReporter())
    pixels, labels = first_batch(job)
    loss, logits, _ = train_step(job, pixels, labels, 0, 0.0)
    log_p = F.log_softmax(logits, 1)
    right = -log_p[torch.arange(8), labels].mean()
    even = -log_p.mean()
    assert loss.item() == pytest.approx((0.7 * right + 0.3 * even).item(), rel=1e-5)


def test_views_and_dropout_depend_on_the_step_and_on_nothing_else(tiny: Recipe) -> None:
    losses = []
    for step in (0, 0, 1):
        job = set_up_training(tiny, NullReporter())
        torch.manual_seed(time.monotonic_ns())
        losses.append(train_step(job, *first_batch(job), step, 0.0)[0].item())
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


# where it stops, and what it says


def test_a_loss_that_is_not_finite_updates_no_weight(tiny: Recipe) -> None:
    job = set_up_training(tiny, NullReporter())
    train_step(job, *first_batch(job), 0, 1e-3)
    with torch.no_grad():
        job.network.get_parameter("fc8.bias")[0] = math.inf
    before = {name: p.detach().clone() for name, p in job.network.named_parameters()}
    memory = {id(p): s["exp_avg"].clone() for p, s in job.optimizer.state.items()}
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step 2;"):
        train_step(job, *first_batch(job), 1, 1e-3)
    for name, parameter in job.network.named_parameters():
        assert torch.equal(parameter, before[name]), name
    for parameter, state in job.optimizer.state.items():
        assert torch.equal(state["exp_avg"], memory[id(parameter)])


def test_a_gradient_that_is_not_finite_updates_no_weight(tiny: Recipe) -> None:
    job = set_up_training(tiny, NullReporter())
    train_step(job, *first_batch(job), 0, 1e-3)
    before = {name: p.detach().clone() for name, p in job.network.named_parameters()}
    weight = job.network.get_parameter("conv1.weight")
    weight.register_hook(lambda gradient: torch.full_like(gradient, math.inf))
    with pytest.raises(TrainingError, match=r"gradient of conv1\.weight is not finite at step 2;"):
        train_step(job, *first_batch(job), 1, 1e-3)
    for name, parameter in job.network.named_parameters():
        assert torch.equal(parameter, before[name]), name


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


def test_a_run_ends_after_the_epoch_whose_training_error_is_low_enough(
    tiny: Recipe, tmp_path: Path, witness: Witness
) -> None:
    """All epochs of the run without a goal; then with the second epoch's error for a goal."""
    free = train(replace(tiny, schedule=AT_ONCE), out=tmp_path / "free")
    errors = [record.train_top1_error for record in free.history]
    assert errors[1] < errors[0]
    aimed = replace(tiny, schedule=AT_ONCE, target_train_error=errors[1])
    run = train(aimed, out=tmp_path / "aimed", reporter=witness)
    assert [record.train_top1_error for record in run.history] == errors[:2]
    assert run.folder.result.exists()
    assert any("after epoch 2: --target-train-error" in note for note in witness.notes)


def test_weights_that_are_not_finite_are_never_the_best(tiny: Recipe, tmp_path: Path) -> None:
    """The last step of all breaks the weights; no later loss can tell."""
    with pytest.raises(TrainingError, match="step 1"):
        train(one_wild_step(tiny), out=tmp_path / "run")
    assert not RunFolder(tmp_path / "run").result.exists()


def test_broken_weights_are_named_where_nothing_is_held_out(
    tiny: Recipe, tmp_path: Path, set_aside: SetAside
) -> None:
    """No later loss and no held-out loss can tell; the weights themselves must."""
    pictures = replace(tiny.data_options, test_fraction=0.0)
    recipe = replace(one_wild_step(tiny), data=str(set_aside("train")), data_options=pictures)
    assert set_up_training(recipe, NullReporter()).eval_split is None
    with pytest.raises(TrainingError, match=r"^conv1\.weight is not finite after step 1;"):
        train(recipe, out=tmp_path / "run")
    assert not RunFolder(tmp_path / "run").result.exists()


def test_a_loss_that_stays_at_chance_is_said_once_with_its_causes(
    tiny: Recipe, tmp_path: Path, witness: Witness
) -> None:
    recipe = replace(
        tiny,
        epochs=5,
        batch_size=36,
        augment=PLAIN,
        optimizer=OptimizerOptions(lr=0.0),
        schedule=AT_ONCE,
    )
    train(recipe, out=tmp_path / "run", reporter=witness)
    said = [note for note in witness.notes if "chance" in note]
    assert len(said) == 1
    assert "ln(12) = 2.485" in said[0]
    assert "--lr 0" in said[0]


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
    with pytest.raises(ConfigError, match="add --init-from"):
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


def test_slowing_needs_a_later_freezing() -> None:
    with pytest.raises(ConfigError, match="--low-lr-after-epoch 3 needs"):
        Recipe(low_lr_after_epoch=3, freeze_up_to="conv1", freeze_after_epoch=2)


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


def test_init_from_takes_what_fits_and_says_so(
    tiny: Recipe, trained: RunFolder, tmp_path: Path, witness: Witness
) -> None:
    foreign = load_file(trained.model)
    foreign["fc8.weight"] = torch.zeros(5, foreign["fc8.weight"].shape[1])
    del foreign["fc8.bias"]
    save_file(foreign, tmp_path / "foreign.safetensors")
    recipe = replace(tiny, init_from=str(tmp_path / "foreign.safetensors"))
    job = set_up_training(recipe, witness)
    fresh = set_up_training(tiny, NullReporter()).network
    assert torch.equal(job.network.get_parameter("conv3.weight"), foreign["conv3.weight"])
    for name in ("fc8.weight", "fc8.bias"):
        assert torch.equal(job.network.get_parameter(name), fresh.get_parameter(name)), name
    told = " ".join(witness.notes)
    assert "foreign.safetensors: " in told
    assert "fc8.weight (5x52, here 12x52)" in told
    assert "randomly initialised: fc8.weight, fc8.bias" in told


def test_init_from_nothing_that_fits_is_refused(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    recipe = replace(
        tiny, init_from=str(trained.model), model=ModelOptions(width=0.1, input_size=67)
    )
    with pytest.raises(ModelFileError, match=r"none of the weights fit .*conv1.weight \(4x3x11x11"):
        train(recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
