"""How training behaves: what it learns, where it stops, and that stopping changes nothing."""

from __future__ import annotations

import json
import math
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import alexnet
from alexnet.checkpoint import load_model
from alexnet.errors import AlexNetError, ConfigError, ModelFileError, TrainingError, UsageError
from alexnet.evaluation import evaluate
from alexnet.job import Job, make_ready
from alexnet.recipe import (
    Augmentation,
    NetOptions,
    Optimizer,
    PictureOptions,
    Recipe,
    Schedule,
)
from alexnet.records import EpochRecord, Silent, StepReport
from alexnet.runs import RunFolder, read_metrics, read_recipe
from alexnet.training import resume, train, train_step
from conftest import Alexnet

RULES = ("paper", "sgd", "adam", "adamw", "keras_adam")
PLAIN = Augmentation(crop="centre", flip=False, colour_sd=0.0)
AT_ONCE = Schedule(schedule="constant")


LEARNING = NetOptions(width=0.1, input_size=67, dropout=0.0)


pytestmark = pytest.mark.usefixtures("no_plots")


class Witness(Silent):
    """Remembers all that it is told; stops the run after a step as a power cut would."""

    def __init__(self, stop_after: int = 0) -> None:
        self.stop_after = stop_after
        self.notes: list[str] = []
        self.steps: list[StepReport] = []
        self.epochs: list[EpochRecord] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def step(self, report: StepReport) -> None:
        self.steps.append(report)
        if report.step == self.stop_after:
            raise PowerCutError

    def epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)


class PowerCutError(BaseException):
    """Nothing in the program catches this."""


def bits(folder: RunFolder) -> bytes:
    """The model file of a run."""
    return folder.model.read_bytes()


def weights(folder: RunFolder) -> dict[str, Tensor]:
    """The tensors of a run's model file."""
    return load_file(folder.model)


def first_batch(job: Job) -> tuple[Tensor, Tensor]:
    """The first batch of a run."""
    pixels, labels = next(job.batches.epoch(0))
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def set_aside(flowers: Path, folder: Path, *splits: str) -> Path:
    """Some of the flowers' splits as a folder of their own."""
    for split in splits:
        shutil.copytree(flowers / split, folder / split)
    return folder


# what it learns


def test_first_loss_is_that_of_knowing_nothing(tiny: Recipe) -> None:
    job = make_ready(tiny, Silent())
    loss, logits = train_step(job, *first_batch(job), 0, 0.0)
    assert logits.shape == (8, 12)
    assert loss.item() == pytest.approx(math.log(12), abs=0.15)


def test_every_parameter_gets_a_gradient_and_moves(tiny: Recipe) -> None:
    job = make_ready(tiny, Silent())
    before = {name: p.detach().clone() for name, p in job.network.named_parameters()}
    train_step(job, *first_batch(job), 0, 1e-3)
    for name, parameter in job.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert not torch.equal(parameter, before[name]), name


def test_a_step_is_one_update(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    job, updates = make_ready(tiny, Silent()), []
    step = job.optimizer.step
    monkeypatch.setattr(job.optimizer, "step", lambda *a: (updates.append(1), step(*a))[1])
    train_step(job, *first_batch(job), 0, 1e-3)
    assert len(updates) == 1


def test_loss_falls(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, epochs=12, net=LEARNING, augment=PLAIN, schedule=AT_ONCE)
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
        pictures=replace(tiny.pictures, test_share=0.0), net=LEARNING,
    )  # fmt: skip
    run = train(recipe, out=tmp_path / "run")
    assert run.evaluation is None
    assert run.history[-1].held_out == ""
    assert run.history[-1].train_top1_error == 0
    for path in sorted((tmp_path / "eight").rglob("*.jpg")):
        (prediction,) = alexnet.load(run.folder.path).predict([path])
        assert prediction.guesses[0].label == path.parent.name


@pytest.mark.parametrize("rule", RULES)
def test_rate_zero_changes_no_weight(tiny: Recipe, tmp_path: Path, rule: str) -> None:
    optimizer = Optimizer(rule=rule, rate=0.0, weight_decay=0.1)  # type: ignore[arg-type]
    recipe = replace(tiny, optimizer=optimizer, epochs=1, data=tiny.data)
    fresh = make_ready(recipe, Silent()).network
    after = weights(train(recipe, out=tmp_path / "run").folder)
    for name, parameter in fresh.named_parameters():
        assert torch.equal(parameter, after[name]), name


def test_label_smoothing_is_the_mixture_of_both_losses(tiny: Recipe) -> None:
    job = make_ready(replace(tiny, label_smoothing=0.3), Silent())
    pixels, labels = first_batch(job)
    loss, logits = train_step(job, pixels, labels, 0, 0.0)
    log_p = F.log_softmax(logits, 1)
    right = -log_p[torch.arange(8), labels].mean()
    even = -log_p.mean()
    assert loss.item() == pytest.approx((0.7 * right + 0.3 * even).item(), rel=1e-5)


# randomness


def test_the_config_of_a_run_re_creates_it_to_the_bit(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    assert read_recipe(trained.config) == tiny
    again = train(read_recipe(trained.config), out=tmp_path / "again").folder
    assert bits(again) == bits(trained)
    assert again.config.read_bytes() == trained.config.read_bytes()


def test_another_seed_gives_another_model(tiny: Recipe, trained: RunFolder, tmp_path: Path) -> None:
    other = weights(train(replace(tiny, seed=1), out=tmp_path / "other").folder)
    assert not torch.equal(other["conv1.weight"], weights(trained)["conv1.weight"])


def test_views_and_dropout_depend_on_the_step_and_on_nothing_else(tiny: Recipe) -> None:
    losses = []
    for step in (0, 0, 1):
        job = make_ready(tiny, Silent())
        torch.manual_seed(time.monotonic_ns())
        losses.append(train_step(job, *first_batch(job), step, 0.0)[0].item())
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


# what cannot work


def test_a_loss_that_is_not_finite_updates_no_weight(tiny: Recipe) -> None:
    job = make_ready(tiny, Silent())
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


def test_a_run_whose_loss_is_not_finite_stops_and_names_the_step(
    tiny: Recipe, tmp_path: Path
) -> None:
    recipe = replace(tiny, optimizer=Optimizer(rule="sgd", rate=1e30), schedule=AT_ONCE)
    with pytest.raises(TrainingError, match=r"at step 2; .*--rate than 1e\+30"):
        train(recipe, out=tmp_path / "run")
    assert not RunFolder(tmp_path / "run").result.exists()


def test_weights_that_are_not_finite_are_never_the_best(tiny: Recipe, tmp_path: Path) -> None:
    """The last step of all breaks the weights; no later loss can tell."""
    recipe = replace(
        tiny, epochs=1, batch_size=36, optimizer=Optimizer(rule="sgd", rate=1e30), schedule=AT_ONCE
    )
    with pytest.raises(TrainingError, match="step 1"):
        train(recipe, out=tmp_path / "run")
    assert not RunFolder(tmp_path / "run").result.exists()


def test_a_loss_that_stays_at_chance_is_said_once_with_its_causes(
    tiny: Recipe, tmp_path: Path
) -> None:
    witness = Witness()
    recipe = replace(
        tiny,
        epochs=5,
        batch_size=36,
        augment=PLAIN,
        optimizer=Optimizer(rate=0.0),
        schedule=AT_ONCE,
    )
    train(recipe, out=tmp_path / "run", reporter=witness)
    said = [note for note in witness.notes if "chance" in note]
    assert len(said) == 1
    assert "ln(12) = 2.485" in said[0]
    assert "--rate 0" in said[0]


def test_a_loss_that_falls_is_not_called_stuck(tiny: Recipe, tmp_path: Path) -> None:
    witness = Witness()
    recipe = replace(tiny, epochs=5, net=LEARNING, augment=PLAIN, schedule=AT_ONCE)
    train(recipe, out=tmp_path / "run", reporter=witness)
    assert not [note for note in witness.notes if "chance" in note]


def change(recipe: Recipe, **values: object) -> Recipe:
    """The recipe with other values, given as `replace` takes them."""
    return replace(recipe, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze_up_to": "nope"}, "unknown layer"),
        ({"freeze_up_to": "nope", "freeze_after_epoch": 1}, "unknown layer"),
        ({"freeze_up_to": "fc8"}, "nothing .*learn"),
        ({"freeze_up_to": "fc8", "freeze_after_epoch": 1}, "nothing .*learn"),
        ({"batch_size": 1}, "batch"),
        ({"init_from": "nowhere.pth"}, "there is no file nowhere.pth"),
        ({"device": "meta"}, "device 'meta'"),
        ({"arch": "alexnt"}, "did you mean alexnet"),
        ({"data": "toyflower"}, "did you mean toyflowers"),
        ({"pictures": PictureOptions(store_pixels=60)}, "67 pixels .* at least 67"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_written(
    tiny: Recipe, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(AlexNetError, match=message):
        train(change(tiny, **changes), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(ConfigError):
        NetOptions(width=value)
    with pytest.raises(ConfigError):
        Optimizer(rate=value)


def test_a_folder_that_exists_is_not_touched(tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("keep")
    with pytest.raises(UsageError, match="exists"):
        train(tiny, out=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["work.txt"]


def test_too_many_unreadable_pictures_stop_the_run_and_few_are_named(
    tiny: Recipe, flowers: Path, tmp_path: Path
) -> None:
    data = set_aside(flowers, tmp_path / "data", "train", "test")
    (data / "train" / "rose" / "0001.jpg").write_bytes(b"not a picture")
    witness = Witness()
    recipe = replace(tiny, data=str(data), epochs=1)
    run = train(recipe, out=tmp_path / "run", reporter=witness)
    assert any("1 of 48" in note and "train/rose/0001.jpg" in note for note in witness.notes)
    result = json.loads(run.folder.result.read_text())
    assert [refused["name"] for refused in result["refused"]] == ["train/rose/0001.jpg"]
    assert sum(report.images for report in witness.steps) == 32  # 35 of 36 are left: 4 steps of 8
    strict = replace(recipe, pictures=replace(recipe.pictures, max_refused_share=0.01))
    with pytest.raises(AlexNetError, match=r"1 of 48 .*--max-refused-share"):
        train(strict, out=tmp_path / "strict")
    assert not (tmp_path / "strict").exists()


# which model is kept


def test_with_a_val_split_the_best_epoch_is_kept(tiny: Recipe, tmp_path: Path) -> None:
    run = train(replace(tiny, epochs=6, schedule=AT_ONCE), out=tmp_path / "run")
    errors = [record.held_out_top1_error for record in run.history]
    best = 1 + errors.index(min(errors))
    assert {record.held_out for record in run.history} == {"val"}
    assert best < 6, "the test needs a run whose last epoch is not its best"
    _, info, _ = load_model(run.folder.model)
    assert (info.scores.epoch, info.scores.val_top1_error) == (best, min(errors))
    shorter = train(replace(tiny, epochs=best, schedule=AT_ONCE), out=tmp_path / "shorter")
    ours, theirs = weights(run.folder), weights(shorter.folder)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_without_a_val_split_the_last_epoch_is_kept(
    tiny: Recipe, flowers: Path, tmp_path: Path
) -> None:
    data = set_aside(flowers, tmp_path / "data", "train", "test")
    recipe = replace(tiny, data=str(data), epochs=6, schedule=AT_ONCE)
    run = train(recipe, out=tmp_path / "run")
    errors = [record.held_out_top1_error for record in run.history]
    assert {record.held_out for record in run.history} == {"test"}
    assert run.evaluation is not None
    assert errors[-1] == run.evaluation.top1_error
    assert errors.index(min(errors)) < 5, "the test needs a run whose last epoch is not its best"
    _, info, _ = load_model(run.folder.model)
    assert (info.scores.epoch, info.scores.val_top1_error) == (6, -1.0)


def test_the_test_split_never_moves_the_rate(tiny: Recipe, flowers: Path, tmp_path: Path) -> None:
    """plateau watches validation, else training pictures; other test labels change nothing."""
    data = set_aside(flowers, tmp_path / "data", "train", "test")
    schedule = Schedule(schedule="plateau", patience_epochs=1)
    recipe = replace(tiny, data=str(data), epochs=5, schedule=schedule)
    rates = [record.rate for record in train(recipe, out=tmp_path / "run").history]
    names = sorted(path.name for path in (data / "test").iterdir())
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        (data / "test" / name).rename(data / f"moved-{other}")
    for name in names:
        (data / f"moved-{name}").rename(data / "test" / name)
    turned = [record.rate for record in train(recipe, out=tmp_path / "turned").history]
    assert rates == turned


def test_the_saved_model_scores_what_the_run_said(trained: RunFolder, tiny: Recipe) -> None:
    result = json.loads(trained.result.read_text())
    job = make_ready(tiny, Silent())
    again = evaluate(alexnet.load(trained.path), job.store, job.splits.test)
    assert again.loss == pytest.approx(result["test"]["loss"], rel=1e-6)
    assert again.top1_error == result["test"]["top1_error"]
    assert result["test"]["top1_error"] * 12 == pytest.approx(
        round(again.top1_error * 12), abs=1e-9
    )
    _, info, _ = load_model(trained.model)
    assert info.scores.test_top1_error == result["test"]["top1_error"]


# freezing and foreign weights


def test_frozen_layers_keep_weights_and_statistics(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, freeze_up_to="pool2", epochs=1)
    fresh = {k: v.clone() for k, v in make_ready(recipe, Silent()).network.state_dict().items()}
    after = weights(train(recipe, out=tmp_path / "run").folder)
    frozen = {name for name in fresh if name.split(".")[0] in ("conv1", "bn1", "conv2", "bn2")}
    assert len(frozen) == 12
    for name in fresh:
        assert torch.equal(fresh[name], after[name]) == (name in frozen), name


def test_late_freezing_begins_after_its_epoch(tiny: Recipe, flowers: Path, tmp_path: Path) -> None:
    data = set_aside(flowers, tmp_path / "data", "train")
    recipe = replace(
        tiny, data=str(data), freeze_up_to="pool1", freeze_after_epoch=1, schedule=AT_ONCE,
        pictures=replace(tiny.pictures, test_share=0.0),
    )  # fmt: skip
    fresh = make_ready(recipe, Silent()).network.state_dict()
    one = weights(train(replace(recipe, epochs=1), out=tmp_path / "one").folder)
    three = weights(train(recipe, out=tmp_path / "three").folder)
    for name in ("conv1.weight", "bn1.weight", "bn1.running_mean"):
        assert not torch.equal(fresh[name], one[name]), name
        assert torch.equal(one[name], three[name]), name
    assert not torch.equal(one["conv2.weight"], three["conv2.weight"])


def test_init_from_takes_what_fits_and_says_so(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    foreign = weights(trained)
    foreign["fc8.weight"] = torch.zeros(5, foreign["fc8.weight"].shape[1])
    del foreign["fc8.bias"]
    save_file(foreign, tmp_path / "foreign.safetensors")
    witness = Witness()
    recipe = replace(tiny, init_from=str(tmp_path / "foreign.safetensors"))
    job = make_ready(recipe, witness)
    fresh = make_ready(tiny, Silent()).network
    assert torch.equal(job.network.get_parameter("conv3.weight"), foreign["conv3.weight"])
    for name in ("fc8.weight", "fc8.bias"):
        assert torch.equal(job.network.get_parameter(name), fresh.get_parameter(name)), name
    told = " ".join(witness.notes)
    assert "took conv1.weight, bn1.weight" in told or "conv1.weight" in told
    assert "fc8.weight (5x52, here 12x52)" in told
    assert "fresh here: fc8.weight, fc8.bias" in told


def test_init_from_nothing_that_fits_is_refused(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    recipe = replace(tiny, init_from=str(trained.model), net=NetOptions(width=0.1, input_size=67))
    with pytest.raises(ModelFileError, match=r"none of the weights fit .*conv1.weight \(4x3x11x11"):
        train(recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# what is recorded


def test_metrics_are_what_the_reporter_heard(tiny: Recipe, tmp_path: Path) -> None:
    witness = Witness()
    run = train(tiny, out=tmp_path / "run", reporter=witness)
    assert [report.step for report in witness.steps] == list(range(1, 13))
    assert {report.total_steps for report in witness.steps} == {12}
    assert tuple(witness.epochs) == run.history == tuple(read_metrics(run.folder))
    for number, record in enumerate(run.history, 1):
        assert (record.epoch, record.step) == (number, 4 * number)
        assert record.train_loss == witness.steps[4 * number - 1].loss
        assert 0 <= record.waiting_share <= 1
        assert record.images_per_second > 0
        names = [layer.name for layer in record.layers]
        layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
        assert names == [f"{layer}.weight" for layer in layers]
        for layer in record.layers:
            assert layer.ratio == pytest.approx(layer.update / layer.weight)
    for line in run.folder.metrics.read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_the_update_of_a_layer_is_that_of_the_last_step(tiny: Recipe, tmp_path: Path) -> None:
    """With one step in all, the recorded update is the whole way from the first weights."""
    recipe = replace(
        tiny, epochs=1, batch_size=36, optimizer=Optimizer(rule="sgd", rate=0.01), schedule=AT_ONCE,
    )  # fmt: skip
    before = make_ready(recipe, Silent()).network.get_parameter("conv1.weight").detach().clone()
    run = train(recipe, out=tmp_path / "run")
    after = weights(run.folder)["conv1.weight"]
    (layer,) = [layer for layer in run.history[0].layers if layer.name == "conv1.weight"]
    assert layer.weight == pytest.approx(after.pow(2).mean().sqrt().item(), rel=1e-5)
    assert layer.update == pytest.approx((after - before).pow(2).mean().sqrt().item(), rel=1e-4)


def test_a_run_folder_holds_what_is_promised(trained: RunFolder) -> None:
    assert {path.name for path in trained.path.iterdir()} == {
        "config.json", "environment.json", "metrics.jsonl", "model.safetensors", "last.safetensors",
        "plots", "result.json",
    }  # fmt: skip
    for path in trained.plots.iterdir():
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 1, path
    assert {path.name for path in trained.plots.iterdir()} == {
        "learning_curves.png", "filters.png", "confusion.png",
    }  # fmt: skip
    result = json.loads(trained.result.read_text())
    assert result["epochs"] == 3
    assert 0 <= result["waiting_share"] <= 1


# stopped and resumed


@pytest.mark.parametrize("stop_after", [1, 4, 6, 12])
def test_resumed_after_any_step_it_ends_in_the_same_bits(
    tiny: Recipe, trained: RunFolder, tmp_path: Path, stop_after: int
) -> None:
    eager = replace(tiny, save_every_minutes=0.0)
    with pytest.raises(PowerCutError):
        train(eager, out=tmp_path / "run", reporter=Witness(stop_after))
    witness = Witness()
    run = resume(tmp_path / "run", reporter=witness)
    # the step that was cut off is done again; one that ended an epoch was not saved yet
    assert [report.step for report in witness.steps] == list(range(stop_after, 13))
    ours, reference = weights(run.folder), weights(trained)
    assert all(torch.equal(ours[name], reference[name]) for name in reference)
    assert ours.keys() == reference.keys()
    same_but_times = [
        replace(record, images_per_second=0, waiting_share=0, elapsed_seconds=0)
        for folder in (run.folder, trained)
        for record in read_metrics(folder)
    ]
    assert same_but_times[:3] == same_but_times[3:]
    assert not run.folder.state.exists()


@pytest.mark.parametrize("rule", ["paper", "sgd", "keras_adam"])
def test_every_update_rule_resumes_in_the_same_bits(
    tiny: Recipe, tmp_path: Path, rule: str
) -> None:
    optimizer = Optimizer(rule=rule, rate=1e-3)  # type: ignore[arg-type]
    recipe = replace(
        tiny, optimizer=optimizer, epochs=2, save_every_minutes=0.0,
        freeze_up_to="pool1", freeze_after_epoch=1,
    )  # fmt: skip
    whole = train(recipe, out=tmp_path / "whole").folder
    with pytest.raises(PowerCutError):
        train(recipe, out=tmp_path / "run", reporter=Witness(6))
    assert bits(resume(tmp_path / "run").folder) == bits(whole)


def test_what_a_kill_left_half_written_is_cleared_away(tiny: Recipe, tmp_path: Path) -> None:
    eager = replace(tiny, save_every_minutes=0.0)
    with pytest.raises(PowerCutError):
        train(eager, out=tmp_path / "run", reporter=Witness(6))
    for name in (".tmpAb3dEf", ".state.safetensors.4711.tmp"):
        (tmp_path / "run" / name).write_bytes(b"half")
    run = resume(tmp_path / "run")
    assert not [path.name for path in run.folder.path.iterdir() if path.name.startswith(".")]


def test_a_run_that_never_saved_begins_anew(
    tiny: Recipe, trained: RunFolder, tmp_path: Path
) -> None:
    with pytest.raises(PowerCutError):
        train(tiny, out=tmp_path / "run", reporter=Witness(9))
    assert len(read_metrics(RunFolder(tmp_path / "run"))) == 2
    run = resume(tmp_path / "run")
    assert bits(run.folder) == bits(trained)
    assert [record.epoch for record in read_metrics(run.folder)] == [1, 2, 3]


def test_a_run_stopped_while_its_pictures_are_drawn_can_be_finished(
    tiny: Recipe, trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = replace(tiny, save_every_minutes=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(
            "alexnet.training.write_results", lambda *a: (_ for _ in ()).throw(PowerCutError)
        )
        with pytest.raises(PowerCutError):
            train(eager, out=tmp_path / "run")
    run = resume(tmp_path / "run")
    ours, reference = weights(run.folder), weights(trained)
    assert all(torch.equal(ours[name], reference[name]) for name in reference)
    assert run.folder.result.exists()


def test_what_cannot_be_resumed(trained: RunFolder, tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not a run folder"):
        resume(tmp_path)
    with pytest.raises(TrainingError, match="has ended already"):
        resume(trained.path)
    eager = replace(tiny, save_every_minutes=0.0)
    with pytest.raises(PowerCutError):
        train(eager, out=tmp_path / "run", reporter=Witness(6))
    folder = RunFolder(tmp_path / "run")
    folder.state.write_bytes(folder.state.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"state\.safetensors"):
        resume(folder.path)


def test_a_run_does_not_go_on_with_other_pictures(
    tiny: Recipe, flowers: Path, tmp_path: Path
) -> None:
    data = set_aside(flowers, tmp_path / "data", "train", "test")
    eager = replace(tiny, data=str(data), save_every_minutes=0.0)
    with pytest.raises(PowerCutError):
        train(eager, out=tmp_path / "run", reporter=Witness(6))
    (data / "train" / "rose" / "0001.jpg").unlink()
    with pytest.raises(AlexNetError, match="changed"):
        resume(tmp_path / "run")


def wait_for(path: Path, seconds: float = 40) -> None:
    """Wait until a file is there."""
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.005)


def test_killed_and_resumed_it_ends_in_the_same_bytes(
    tiny: Recipe, tmp_path: Path, alexnet_process: Alexnet
) -> None:
    recipe = replace(tiny, epochs=12, save_every_minutes=0.0)
    whole = train(recipe, out=tmp_path / "whole").folder
    killed = RunFolder(tmp_path / "killed")
    process = alexnet_process("train", "--config", whole.config, "--out", killed.path)
    wait_for(killed.metrics)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not killed.result.exists(), "the run ended before it could be killed"
    assert killed.config.read_bytes() == whole.config.read_bytes()
    run = resume(killed.path)
    assert bits(run.folder) == bits(whole)
    assert [record.epoch for record in read_metrics(run.folder)] == list(range(1, 13))
