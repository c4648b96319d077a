"""`alexnet tune` from end to end: several processes, a kill, what is written, and what it reads."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.data.store.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.reporter import NullReporter
from alexnet.training.data import prepare_data
from alexnet.training.run_folder import RunFolder
from alexnet.training.trainer import train
from alexnet.tune.plan import plan_tuning
from support.commands import Command
from support.runs import SetAside, empty_plot

SPACE = """
lr = {low = 1e-3, high = 0.1, log = true}
batch-size = {choices = [4, 8]}
"""


@pytest.fixture
def without_val(small: Recipe, set_aside: SetAside) -> Recipe:
    """The recipe on four training images of each class, a test image, and no validation image."""
    data = set_aside("train", "val", "test")
    for image in (data / "val").rglob("*.jpg"):
        image.rename(data / "train" / image.parent.name / f"val-{image.name}")
    shutil.rmtree(data / "val")
    return replace(small, data=str(data), seed=7)


def test_trials_have_validation_images_and_no_test_images(
    small: Recipe, without_val: Recipe
) -> None:
    """They are taken from the training images where the data has none, the same for all seeds."""
    own = plan_tuning(small, (), NullReporter())
    assert own.recipe.data_options == replace(small.data_options, test_per_class=0)
    assert not own.notes
    tuning = plan_tuning(without_val, (), NullReporter())
    assert "20 % of the training images (12) choose" in tuning.notes[0]
    options = tuning.recipe.data_options
    assert (options.val_fraction, options.split_seed, options.test_per_class) == (0.2, 7, 0)
    assert tuning.final.data_options == replace(options, test_per_class=None)
    assert tuning.images == {"train": 36, "val": 12, "test": 12}


def test_a_test_split_out_of_the_training_images_is_the_same_for_all_seeds(
    small: Recipe, set_aside: SetAside
) -> None:
    options = replace(small.data_options, test_fraction=0.34)
    recipe = replace(small, data=str(set_aside("train", "val")), data_options=options, seed=7)
    assert plan_tuning(recipe, (), NullReporter()).recipe.data_options.split_seed == 7


@pytest.mark.slow
def test_a_trial_reads_no_test_image(
    without_val: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = plan_tuning(without_val, (), NullReporter())
    _, splits = prepare_data(tuning.final)
    read: set[int] = set()
    images = Store.images

    def watched(store: Store, indices: np.ndarray) -> np.ndarray:
        read.update(np.asarray(indices).tolist())
        return images(store, indices)

    monkeypatch.setattr(Store, "images", watched)
    run = train(replace(tuning.recipe, epochs=1), out=tmp_path / "run", save_plot=empty_plot)
    assert run.evaluation is None
    assert read >= set(splits.val.tolist())
    assert not read & set(splits.test.tolist())


def test_what_cannot_be_tuned_is_told(small: Recipe, set_aside: SetAside) -> None:
    data = set_aside("train", "test")
    for folder in (data / "train").iterdir():
        min(folder.iterdir()).unlink()
    with pytest.raises(DataError, match="too few images for a validation split"):
        plan_tuning(replace(small, data=str(data)), (), NullReporter())
    minutes = replace(small, stopping=replace(small.stopping, max_minutes=1.0))
    with pytest.raises(UsageError, match="--minutes"):
        plan_tuning(minutes, (), NullReporter())
    devices = replace(small, distributed=replace(small.distributed, devices=2))
    with pytest.raises(UsageError, match="--jobs"):
        plan_tuning(devices, (), NullReporter())


def test_without_optuna_the_extra_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.runtime.extras.find_spec", lambda package: None)
    result = command("tune", "mnist_lenet")
    assert result.code == 2
    assert "alexnet tune needs the package optuna" in result.err
    assert 'pip install "alexnet[tune]"' in result.err
    assert "--trials -1 must be at least 1" in command("tune", "--trials", "-1").err


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    ends_at = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends_at
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_that_are_killed_and_continued_lose_no_trial(
    small: Recipe,
    tmp_path: Path,
    alexnet_process: Callable[..., subprocess.Popen[str]],
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "recipe.json").write_text(to_json(replace(small, epochs=4)))
    (tmp_path / "space.toml").write_text(SPACE)
    words = ("tune", "--config", "recipe.json", "--space", "space.toml", "--out", "out")
    words = (*words, "--trials", "5", "--confirm", "0", "--json")
    process = alexnet_process(*words, "--jobs", "2", cwd=tmp_path)
    trials = tmp_path / "out" / "trials"
    wait_until(lambda: len(list(trials.glob("*/metrics.jsonl"))) >= 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until_unlocked(tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    result = command(*words, "--jobs", "1")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert [trial["number"] for trial in found["trials"]] == list(range(5))
    finished = [t for t in found["trials"] if t["state"] == "finished"]
    assert {t["state"] for t in found["trials"]} <= {"finished", "pruned"}
    assert found["trials"][0]["is_recipe"]
    assert found["trials"][0]["state"] == "finished"
    assert found["winner"]["val_top1_error"] == min(t["val_top1_error"] for t in finished)
    for trial in found["trials"]:
        run = json.loads((Path(trial["path"]) / "config.json").read_text())
        assert run["data_options"]["test_per_class"] == 0
        epochs = (Path(trial["path"]) / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in epochs] == list(range(1, len(epochs) + 1))
        if trial["state"] == "finished":
            ended = json.loads((Path(trial["path"]) / "result.json").read_text())
            assert ended["test"] is None
    again = command(*words, "--jobs", "1", "--minutes", "0")
    assert json.loads(again.out)["trials"] == found["trials"]
    assert command("evaluate", found["winner"]["path"]).code == 0


def wait_until_unlocked(out: Path) -> None:
    """The processes of a main process that was killed save a checkpoint and end."""
    ends_at = time.monotonic() + 60
    while any(RunFolder(path).is_locked() for path in out.glob("trials/[0-9]*")):
        assert time.monotonic() < ends_at
        time.sleep(0.1)
