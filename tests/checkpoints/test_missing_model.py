"""What is said of a folder without a model, where one is wanted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock

from alexnet.checkpoints.missing_model import no_model_text
from alexnet.checkpoints.model_file import find_model_file
from alexnet.errors import ModelFileError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder after 2 of 9 epochs."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text('{"epochs": 9}')
    (run / "metrics.jsonl").write_text('{}\n{}\n{"cut')
    return run


def test_an_unfinished_run_is_resumed_or_stopped_with_a_model(run: Path) -> None:
    resume = f"alexnet train --resume {run}"
    unfinished = f"{run} is an unfinished run, after 2 of 9 epochs, and has no model yet"
    assert no_model_text(run) == (
        f"{unfinished}; no checkpoint was saved, so resuming starts from the first step: {resume}"
    )
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "step-000002.safetensors").touch()
    with pytest.raises(ModelFileError) as caught:
        find_model_file(run)
    assert str(caught.value) == (
        f"{unfinished}; resume it after step 2: {resume}; "
        f"or stop now with a model of its weights: {resume} --max-minutes 0.01"
    )


def test_a_run_that_a_process_trains_is_not_to_be_resumed(run: Path) -> None:
    with FileLock(run / ".lock"):
        text = f"{run} is being trained and has no model yet, after 2 of 9 epochs; wait for it"
        assert no_model_text(run).startswith(text)
    assert "unfinished" in no_model_text(run)


def test_runs_that_have_ended_without_a_model(run: Path) -> None:
    again = f"alexnet train --config {run}/config.json"
    (run / "diverged.txt").write_text("the loss is nan\n")
    text = f"{run} diverged after 2 of 9 epochs and has no model; try again with: {again} --lr"
    assert no_model_text(run).startswith(text)
    (run / "result.json").write_text("{}")
    assert no_model_text(run) == (
        f"{run} is a finished run whose model (model.safetensors) was removed; "
        f"train it again: {again}"
    )


def test_an_unfinished_pretraining(run: Path) -> None:
    (run / "config.json").write_text(json.dumps({"epochs": 9, "kind": "rbm"}))
    assert no_model_text(run).endswith(f"resume it with: alexnet pretrain rbm --resume {run}")


def test_folders_of_runs_tunings_and_experiments(run: Path) -> None:
    parent = run.parent
    assert no_model_text(parent).endswith(f"a folder of runs, not a model; name one of them: {run}")
    (parent / "plan.json").touch()
    (parent / "runs").mkdir()
    assert no_model_text(parent).endswith(f"an experiment; name one of the runs in {parent}/runs")
    (parent / "tuning.json").touch()
    assert no_model_text(parent).endswith("a tuning, not a run; its trials are in trials/")
    (parent / "winner.json").touch()
    assert no_model_text(parent).endswith(f"alexnet train --config {parent}/winner.json")


@pytest.mark.parametrize("config", ["", "[]", '{"model_type": "bert"}'])
def test_other_folders(tmp_path: Path, config: str) -> None:
    """Such as one of images, and one of another program's model."""
    if config:
        (tmp_path / "config.json").write_text(config)
    assert no_model_text(tmp_path) == (
        f"{tmp_path} is a folder without a model (model.safetensors); "
        "name a model file or a run folder"
    )
