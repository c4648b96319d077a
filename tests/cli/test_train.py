"""`train` end to end: stdout, stderr, files, and which value wins."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

import alexnet
from alexnet.cli import main
from alexnet.cli.train import result_text
from alexnet.config.presets import FINETUNE, PRESETS
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.records import EpochRecord
from alexnet.training.results import ValidationResult
from alexnet.training.run_folder import RunFolder, read_metrics, read_recipe
from alexnet.training.trainer import Run
from support.commands import Command
from support.runs import is_same_run

TINY_FLAGS = (
    "--arch", "alexnet_bn", "--width", "0.05", "--input-size", "67", "--resize-size", "72",
    "--crop-size", "None", "--epochs", "2", "--batch-size", "12",
)  # fmt: skip


@pytest.mark.usefixtures("no_plots")
def test_train_prints_only_the_result_on_stdout(
    command: Command, flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(flowers.parent)
    result = command(
        "train", "--data", "flowers", *TINY_FLAGS, "--out", tmp_path / "run", "--seed", 3
    )
    run = RunFolder(tmp_path / "run")
    assert result.code == 0
    assert "trained 2 epochs" in result.out
    assert re.search(r"^test error [\d.]+ % \([\d.]+ to [\d.]+ %\) on 12 images$", result.out, re.M)
    assert re.search(
        r"^best epoch [12]: validation error [\d.]+ % \([\d.]+ to [\d.]+ %\) on 12 images;",
        result.out,
        re.M,
    )
    assert re.search(r"^temperature [\d.]+, fitted on 12 validation images$", result.out, re.M)
    assert "\nnote: the temperature is fitted on 12 images, so by chance" in result.out
    assert str(run.model) in result.out
    assert re.search(
        rf"^state +[\d.]+ .?B, which .*: alexnet runs clean {run.path} --yes$", result.err, re.M
    )
    assert result.err.endswith(
        f"next      alexnet evaluate {run.path} --crops 10\n"
        f"          alexnet predict {run.path} IMAGE\n"
        f"          alexnet export {run.path} --format onnx\n"
    )
    for progress in ("prepared 60 of 60", "epoch 1/2", "epoch 2/2"):
        assert progress in result.err
        assert progress not in result.out
    recipe = read_recipe(run.config)
    assert (recipe.seed, recipe.epochs, recipe.model.width) == (3, 2, 0.05)
    assert recipe.data == str(flowers), "the config must work from any folder"
    assert len(read_metrics(run)) == 2


@pytest.mark.parametrize(("epochs", "is_said"), [(1, False), (2, True)])
def test_without_a_test_split_the_lowest_error_is_said_to_be_too_good(
    epochs: int, is_said: bool
) -> None:
    validation = ValidationResult(epoch=1, num_images=14, top1_error=0.0, temperature=0.6189)
    history = (Mock(spec=EpochRecord),) * epochs
    run = Run(RunFolder(Path("a-001")), history, (), None, validation=validation)
    told = "the error is the lowest of 2 epochs, so it is too good, and there is no test split"
    assert (told in result_text(run)) == is_said
    assert "\ntemperature 0.619, fitted on 14 validation images\n" in result_text(run)
    assert told not in result_text(replace(run, evaluation=Mock(top1_error=0.5, num_images=8)))


@pytest.mark.usefixtures("no_plots")
def test_train_json_is_the_result_file(command: Command, flowers: Path, tmp_path: Path) -> None:
    result = command("train", "--data", flowers, *TINY_FLAGS, "--out", tmp_path / "run", "--json")
    facts = json.loads(result.out)
    assert "next " not in result.err
    saved = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {key: facts[key] for key in saved} == saved
    assert facts["run"] == str(tmp_path / "run")
    assert facts["model"] == str(tmp_path / "run" / "model.safetensors")
    assert (facts["is_finished"], facts["resume_command"]) == (True, None)
    assert facts["best_epoch"] == facts["validation"]["epoch"]
    assert {"epochs", "training_seconds", "data_wait_fraction", "rejected", "test"} <= set(facts)
    assert facts["test"]["num_images"] == 12
    history = read_metrics(RunFolder(tmp_path / "run"))
    best = min(history, key=lambda record: record.eval_top1_error or 0.0)
    interval = facts["validation"].pop("top1_error_interval")
    assert interval["low"] < facts["validation"]["top1_error"] < interval["high"]
    assert facts["validation"] == {
        "epoch": best.epoch,
        "num_images": 12,
        "top1_error": best.eval_top1_error,
        "temperature": facts["test"]["calibration"]["temperature"],
    }
    assert sum(map(sum, facts["test"]["confusion"])) == 12


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_train_numbers_its_run_folders(
    command: Command, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.json").write_text(to_json(tiny))
    for number in (1, 2):
        assert command("train", "--config", "mine.json", "--epochs", 1).code == 0
        assert Path(f"runs/tiny-00{number}/model.safetensors").is_file()


@pytest.mark.usefixtures("no_plots")
def test_a_flag_wins_over_the_config_and_the_config_over_the_preset(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    part = {
        "epochs": 9,
        "seed": 5,
        "data": str(flowers),
        "model": {"width": 0.05, "input_size": 67},
    }
    (tmp_path / "part.json").write_text(json.dumps(part))
    result = command(
        "train", "flowers17", "--config", tmp_path / "part.json", "--epochs", 1,
        "--resize-size", 72, "--crop-size", None, "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.code == 0, result.err
    recipe = read_recipe(tmp_path / "run" / "config.json")
    preset = alexnet.preset("flowers17")
    assert (recipe.epochs, recipe.seed) == (1, 5)
    assert (recipe.batch_size, recipe.schedule) == (preset.batch_size, preset.schedule)


@pytest.mark.usefixtures("no_plots")
def test_a_config_gives_the_same_bytes(
    command: Command, trained: RunFolder, tmp_path: Path
) -> None:
    result = command("train", "--config", trained.config, "--out", tmp_path / "again")
    assert result.code == 0
    assert "trained 3 epochs" in result.out
    again = RunFolder(tmp_path / "again")
    assert again.model.read_bytes() == trained.model.read_bytes()
    assert again.config.read_bytes() == trained.config.read_bytes()


class ClosedPipe(io.StringIO):
    """A pipe whose other end was closed, as by `alexnet train 2>&1 | head`."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.slow
@pytest.mark.usefixtures("small_place", "no_plots")
def test_a_run_continues_when_nobody_reads_its_progress(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.json").write_text(to_json(small))
    monkeypatch.setattr("sys.stderr", ClosedPipe())
    words = ["train", "--config", str(tmp_path / "small.json"), "--out", str(tmp_path / "run")]
    assert main(words) == 0
    assert is_same_run(RunFolder(tmp_path / "run"), small_whole)


@pytest.mark.usefixtures("small_place", "no_plots")
def test_own_images_without_torchvisions_weights_are_trained_from_scratch(
    command: Command, flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    flags = ["--epochs", 1, "--arch", "lenet5", "--out", tmp_path / "run"]
    told = command("train", flowers, *flags)
    assert told.code == 0, told.err
    assert "trains from scratch, which takes longer" in told.err
    assert "torchvision's weights do not fit lenet5: it" in told.err
    recipe = read_recipe(tmp_path / "run" / "config.json")
    assert (recipe.init_from, recipe.arch, recipe.epochs) == ("scratch", "lenet5", 1)
    assert recipe.optimizer == replace(PRESETS["quickstart"].optimizer, lr=2e-3)
    assert "--arch lenet5 brings --resize-size 32 --lr 0.002" in told.err
    assert "trains from scratch" in (tmp_path / "run" / "run.log").read_text()


def test_explicit_flags_hold_for_the_recipe_that_is_trained_instead(
    command: Command, flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")

    def show(_: object, recipe: Recipe, *others: object) -> int:
        print(to_json(recipe))
        return 0

    monkeypatch.setattr("alexnet.cli.train.run_trial", show)
    told = command(
        "train", flowers, "--epochs", FINETUNE.epochs, "--val-fraction", 0.2, "--dry-run"
    )
    found = json.loads(told.out)
    assert (found["epochs"], found["arch"], found["init_from"]) == (
        FINETUNE.epochs, "alexnet_bn", "scratch",
    )  # fmt: skip
    assert found["data_options"]["val_fraction"] == 0.2
    assert "put it into" in told.err
    assert "--from FILE" in told.err
    told = command("train", flowers, "--from", "torchvision", "--dry-run")
    assert json.loads(told.out)["init_from"] == "torchvision"


def test_help_shows_the_recipe_that_the_words_choose(command: Command) -> None:
    told = command("train", "photos/", "--help").out
    assert "(default: alexnet_owt)" in told
    assert "(default: auto)" in told
    told = command("train", "--arch", "lenet5", "--data", "x/", "--from", "scratch", "--help").out
    assert "(default: lenet5)" in told
    assert "(default: scratch)" in told
