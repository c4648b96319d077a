"""What a run folder records, which model it keeps, and what makes no folder at all."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import alexnet
from alexnet.checkpoints.model_file import load_model
from alexnet.config.recipe import DataOptions, LRSchedule, OptimizerOptions, Recipe
from alexnet.config.serialization import from_dict
from alexnet.errors import AlexNetError, ConfigError, UsageError
from alexnet.evaluation.evaluator import evaluate_images
from alexnet.models.variants import ModelOptions
from alexnet.records import EpochTimes
from alexnet.reporter import NullReporter
from alexnet.training.run_folder import RunFolder, read_metrics
from alexnet.training.setup import set_up_training
from support.runs import SetAside, Witness, train


@pytest.fixture
def steady(tiny: Recipe) -> Recipe:
    """The tiny run for six epochs at one rate, with a seed with which the last is not the best."""
    return replace(tiny, epochs=6, seed=1, schedule=LRSchedule(schedule="constant"))


# what is recorded


def test_metrics_are_what_the_reporter_heard(
    tiny: Recipe, tmp_path: Path, witness: Witness
) -> None:
    run = train(tiny, out=tmp_path / "run", reporter=witness)
    assert [report.step for report in witness.steps] == list(range(1, 13))
    assert {report.total_steps for report in witness.steps} == {12}
    assert tuple(witness.epochs) == run.history == tuple(read_metrics(run.folder))
    lines = run.folder.times.read_text().splitlines()
    told = [from_dict(EpochTimes, json.loads(line)) for line in lines]
    assert tuple(witness.times) == run.times == tuple(told)
    for number, (record, times) in enumerate(zip(run.history, run.times, strict=True), 1):
        assert (record.epoch, record.step) == (number, 4 * number)
        assert record.train_loss == witness.steps[4 * number - 1].loss
        assert times.epoch == number
        assert 0 <= times.data_wait_fraction <= 1
        assert times.images_per_second > 0
        assert times.elapsed_seconds > 32 / times.images_per_second
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
        tiny, epochs=1, batch_size=36, optimizer=OptimizerOptions(optimizer="sgd", lr=0.01),
        schedule=LRSchedule(schedule="constant"),
    )  # fmt: skip
    before = (
        set_up_training(recipe, NullReporter())
        .network.get_parameter("conv1.weight")
        .detach()
        .clone()
    )
    run = train(recipe, out=tmp_path / "run")
    after = load_file(run.folder.model)["conv1.weight"]
    (layer,) = [layer for layer in run.history[0].layers if layer.name == "conv1.weight"]
    assert layer.weight == pytest.approx(after.pow(2).mean().sqrt().item(), rel=1e-5)
    assert layer.update == pytest.approx((after - before).pow(2).mean().sqrt().item(), rel=1e-4)


def test_a_run_folder_holds_what_is_promised(trained: RunFolder) -> None:
    assert {path.name for path in trained.path.iterdir()} == {
        "config.json", "environment.json", "metrics.jsonl", "times.jsonl", "model.safetensors",
        "last.safetensors", "evaluation", "plots", "result.json", "run.log",
    }  # fmt: skip
    for path in trained.plots.glob("*.png"):
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 1, path
    assert {path.name for path in trained.plots.iterdir()} == {
        "learning_curves.png", "learning_curves.svg", "confusion.png", "confusion.svg",
        "reliability.png", "reliability.svg",
    }  # fmt: skip
    result = json.loads(trained.result.read_text())
    assert result["epochs"] == 3
    assert 0 <= result["data_wait_fraction"] <= 1


def test_the_saved_model_scores_what_the_run_reported(trained: RunFolder, tiny: Recipe) -> None:
    result = json.loads(trained.result.read_text())
    setup = set_up_training(tiny, NullReporter())
    again = evaluate_images(alexnet.load(trained.path), setup.store, setup.splits.test)
    assert again.loss == pytest.approx(result["test"]["loss"], rel=1e-6)
    assert again.top1_error == result["test"]["top1_error"]
    assert result["test"]["top1_error"] * 12 == pytest.approx(
        round(again.top1_error * 12), abs=1e-9
    )
    _, info, _ = load_model(trained.model)
    assert info.scores.test_top1_error == result["test"]["top1_error"]


@pytest.mark.slow
def test_too_many_unreadable_images_stop_the_run_and_few_are_named(
    tiny: Recipe, tmp_path: Path, set_aside: SetAside, witness: Witness
) -> None:
    data = set_aside("train", "test")
    (data / "train" / "rose" / "0001.jpg").write_bytes(b"not a image")
    recipe = replace(tiny, data=str(data), epochs=1)
    run = train(recipe, out=tmp_path / "run", reporter=witness)
    assert any("1 of 48" in note and "train/rose/0001.jpg" in note for note in witness.notes)
    result = json.loads(run.folder.result.read_text())
    assert [refused["name"] for refused in result["rejected"]] == ["train/rose/0001.jpg"]
    assert (
        sum(report.num_images for report in witness.steps) == 32
    )  # 35 of 36 are left: 4 steps of 8
    strict = replace(recipe, data_options=replace(recipe.data_options, max_rejected_fraction=0.01))
    with pytest.raises(AlexNetError, match=r"1 of 48 .*--max-rejected-fraction"):
        train(strict, out=tmp_path / "strict")
    assert not (tmp_path / "strict").exists()


# which model is kept


@pytest.mark.slow
def test_with_a_val_split_the_best_epoch_is_kept(steady: Recipe, tmp_path: Path) -> None:
    run = train(steady, out=tmp_path / "run")
    errors = [record.eval_top1_error for record in run.history]
    best = 1 + errors.index(min(errors))
    assert {record.eval_split for record in run.history} == {"val"}
    assert best < 6, "the test needs a run whose last epoch is not its best"
    _, info, _ = load_model(run.folder.model)
    assert (info.scores.epoch, info.scores.val_top1_error) == (best, min(errors))
    shorter = train(replace(steady, epochs=best), out=tmp_path / "shorter")
    ours, theirs = load_file(run.folder.model), load_file(shorter.folder.model)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_without_a_val_split_the_last_epoch_is_kept(
    steady: Recipe, tmp_path: Path, set_aside: SetAside
) -> None:
    run = train(replace(steady, data=str(set_aside("train", "test"))), out=tmp_path / "run")
    errors = [record.eval_top1_error for record in run.history]
    assert {record.eval_split for record in run.history} == {"test"}
    assert run.evaluation is not None
    assert errors[-1] == run.evaluation.top1_error
    assert errors.index(min(errors)) < 5, "the test needs a run whose last epoch is not its best"
    _, info, _ = load_model(run.folder.model)
    assert (info.scores.epoch, info.scores.val_top1_error) == (6, None)


@pytest.mark.slow
def test_the_test_split_never_changes_the_learning_rate(
    tiny: Recipe, tmp_path: Path, set_aside: SetAside
) -> None:
    """plateau watches validation, else training images; other test labels change nothing."""
    data = set_aside("train", "test")
    schedule = LRSchedule(schedule="plateau", plateau_patience=1)
    recipe = replace(tiny, data=str(data), epochs=5, schedule=schedule)
    rates = [record.lr for record in train(recipe, out=tmp_path / "run").history]
    names = sorted(path.name for path in (data / "test").iterdir())
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        (data / "test" / name).rename(data / f"moved-{other}")
    for name in names:
        (data / f"moved-{name}").rename(data / "test" / name)
    turned = [record.lr for record in train(recipe, out=tmp_path / "turned").history]
    assert rates == turned


# what makes no folder


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
        ({"init_from": "nowhere.pth"}, r"there is no file .*nowhere\.pth"),
        ({"device": "meta"}, "device 'meta'"),
        ({"arch": "alexnt"}, "did you mean alexnet"),
        ({"data": "toyflower"}, "did you mean toyflowers"),
        ({"data_options": DataOptions(resize_size=60)}, "67 pixels .* at least 67"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_work_is_rejected_before_anything_is_written(
    tiny: Recipe, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(AlexNetError, match=message):
        train(change(tiny, **changes), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_numbers_that_are_not_finite_are_rejected(value: float) -> None:
    with pytest.raises(ConfigError):
        ModelOptions(width=value)
    with pytest.raises(ConfigError):
        OptimizerOptions(lr=value)


def test_a_folder_that_exists_is_not_touched(tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("keep")
    with pytest.raises(UsageError, match="exists"):
        train(tiny, out=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["work.txt"]
