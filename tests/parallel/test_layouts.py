"""Whole runs in columns and as hybrids; a run goes on in another layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.checkpoints.model_file import load_model
from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.errors import UsageError
from alexnet.models.variants import ModelOptions
from alexnet.training.run_folder import RunFolder, read_metrics
from support.commands import Alexnet, Command
from support.processes import Processes
from support.runs import (
    PowerCut,
    PowerCutError,
    Witness,
    cut_off_all,
    is_same_run,
    losses,
    resume,
    train,
)

COLUMNS = DistributedOptions(parallel="columns")
HYBRID = DistributedOptions(parallel="hybrid")
ROUNDS = DistributedOptions(parallel="hybrid", exchange="slices")


@pytest.fixture
def narrow(tiny: Recipe) -> Recipe:
    """The paper's net, narrow, with an average of its weights; saved every third step."""
    return replace(
        tiny,
        arch="alexnet",
        model=ModelOptions(width=0.05, input_size=67),
        optimizer=OptimizerOptions(optimizer="adamw", lr=2e-3, ema=0.9),
        save_every_minutes=1e6,
        save_every_steps=3,
    )


def run(recipe: Recipe, out: Path) -> list[str]:
    witness = Witness()
    train(recipe, out=out, reporter=witness)
    return witness.notes


def go_on(out: Path, distributed: DistributedOptions | None) -> list[str]:
    witness = Witness()
    resume(out, distributed=distributed, reporter=witness)
    return witness.notes


def assert_like(folder: RunFolder, whole: RunFolder) -> None:
    """The same results up to rounding, and weights of a whole network."""
    np.testing.assert_allclose(losses(folder), losses(whole), rtol=1e-5)
    weights, _, _ = load_model(folder.model)
    for name, expected in load_model(whole.model)[0].items():
        np.testing.assert_allclose(weights[name], expected, rtol=1e-3, atol=1e-5)
    updates = [[layer.ratio for layer in r.layers] for r in read_metrics(folder)]
    expected_updates = [[layer.ratio for layer in r.layers] for r in read_metrics(whole)]
    np.testing.assert_allclose(updates, expected_updates, rtol=1e-3)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", [COLUMNS, HYBRID, ROUNDS])
def test_a_run_of_two_processes_is_that_of_one(
    options: DistributedOptions, narrow: Recipe, tmp_path: Path, pair: Processes
) -> None:
    train(narrow, out=tmp_path / "whole")
    notes, silence = pair.run(run, replace(narrow, distributed=options), tmp_path / "two")
    assert any(f"{options.parallel}: each of 2 processes has" in note for note in notes)
    assert not silence
    assert_like(RunFolder(tmp_path / "two"), RunFolder(tmp_path / "whole"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", [COLUMNS, HYBRID, ROUNDS])
def test_the_same_layout_resumes_to_the_same_bits(
    options: DistributedOptions, narrow: Recipe, tmp_path: Path, pair: Processes
) -> None:
    recipe = replace(narrow, distributed=options)
    pair.run(run, recipe, tmp_path / "whole")
    pair.run(cut_off_all, recipe, tmp_path / "cut", 5)
    pair.run(go_on, tmp_path / "cut", None)
    assert is_same_run(RunFolder(tmp_path / "cut"), RunFolder(tmp_path / "whole"))


@pytest.mark.timeout(300)
def test_a_run_goes_on_in_other_layouts(
    narrow: Recipe, tmp_path: Path, pair: Processes, four: Processes
) -> None:
    train(narrow, out=tmp_path / "whole")
    folder = RunFolder(tmp_path / "moved")
    pair.run(cut_off_all, replace(narrow, distributed=COLUMNS), folder.path, 5)
    with pytest.raises(PowerCutError):
        resume(folder.path, distributed=DistributedOptions(), reporter=PowerCut(7))
    four.run(go_on, folder.path, ROUNDS)
    assert_like(folder, RunFolder(tmp_path / "whole"))
    saved = json.loads(folder.config.read_text())["distributed"]
    assert (saved["devices"], saved["parallel"], saved["exchange"]) == (4, "hybrid", "slices")


def test_one_process_refuses_parts(narrow: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--parallel columns needs several processes"):
        train(replace(narrow, distributed=COLUMNS), out=tmp_path / "run")


def test_resume_takes_a_layout(command: Command, tmp_path: Path) -> None:
    result = command("train", "--resume", str(tmp_path / "none"), "--parallel", "hybrid")
    assert "cannot change" not in result.err
    assert "none" in result.err


@pytest.mark.slow
def test_a_dry_run_refuses_a_scheme_that_does_not_fit(
    alexnet_process: Alexnet, tiny: Recipe
) -> None:
    words = ("train", "--data", tiny.data, "--arch", "alexnet_owt", "--dry-run")
    process = alexnet_process(*words, "--devices", "2", "--parallel", "columns")
    _, told = process.communicate(timeout=200)
    assert process.returncode == 2
    assert told.count("alexnet_owt has no columns") == 1
