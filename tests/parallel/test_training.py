"""A run of several processes: files of one, resumed to the same bits, evaluated together."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.checkpoints.model_file import load_model, save_model
from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import SCRATCH, OptimizerOptions, Recipe
from alexnet.data.store.store import Store
from alexnet.errors import TrainingError, UsageError
from alexnet.evaluation.evaluator import evaluate
from alexnet.inference.classifier import load
from alexnet.parallel.world import current_world
from alexnet.runtime.environment import describe_environment
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.training import build, loop
from alexnet.training.processes import (
    JOB,
    RESTARTS,
    at_size,
    check_is_new,
    folder_to_go_on,
    job_name,
)
from alexnet.training.run_folder import RunFolder, config_text, create_numbered_run
from alexnet.training.setup import set_up_training
from alexnet.training.state import TrainState
from support.processes import Processes
from support.runs import (
    Witness,
    cut_off,
    cut_off_all,
    is_same_run,
    losses,
    resume,
    train,
)


def run(recipe: Recipe, out: Path) -> tuple[list[str], int]:
    """Train; what was noted, and the number of finished epochs."""
    witness = Witness()
    result = train(recipe, out=out, reporter=witness)
    return witness.notes, len(result.history)


def cut_and_resume(recipe: Recipe, out: Path, stop_after: int) -> None:
    """Train until a power cut after a step, then to the end."""
    cut_off_all(recipe, out, stop_after)
    resume(out)


def stop_one(recipe: Recipe, out: Path) -> tuple[str, int, str]:
    """Train until the last process gets a signal; the message, and what resuming notes first."""
    world = current_world()

    def stop(state: TrainState) -> None:
        if state.step == 3 and world.rank == world.size - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "check_weights", stop)
        with pytest.raises(TrainingInterrupted) as stopped:
            train(recipe, out=out)
    witness = Witness()
    resume(out, reporter=witness)
    return str(stopped.value), stopped.value.signal_number, " ".join(witness.notes)


def evaluated(model: Path, crops: int) -> tuple[float, float, np.ndarray]:
    result = evaluate(load(model), crops=crops)  # type: ignore[arg-type]
    return result.loss, result.top1_error, result.confusion


@pytest.fixture
def two_at_a_time(small: Recipe) -> Recipe:
    """The small recipe, saved only every third step."""
    return replace(small, save_every_steps=3)


def test_a_run_of_two_processes_is_that_of_one(
    two_at_a_time: Recipe, small_whole: RunFolder, small_place: RunFolder, pair: Processes
) -> None:
    folder = small_place
    (notes, epochs), (silence, same) = pair.run(run, two_at_a_time, folder.path)
    assert epochs == same == 3
    assert f"run folder {folder.path}" in notes
    assert sum("MB a step" in note for note in notes) == 1
    assert not silence
    assert {p.name for p in folder.path.iterdir()} == {p.name for p in small_whole.path.iterdir()}
    np.testing.assert_allclose(losses(folder), losses(small_whole), rtol=1e-5)
    assert json.loads(folder.config.read_text())["distributed"]["devices"] == 2
    assert folder.read_environment()["processes"] == 2
    weights, _, _ = load_model(folder.model)
    for name, expected in load_model(small_whole.model)[0].items():
        np.testing.assert_allclose(weights[name], expected, rtol=1e-3, atol=1e-5)
    alone = evaluated(folder.model, 1)
    for found in pair.run(evaluated, folder.model, 1):
        np.testing.assert_allclose(found[:2], alone[:2], rtol=1e-5)
        assert (found[2] == alone[2]).all()


def check_resuming(recipe: Recipe, place: Path, processes: Processes) -> None:
    whole, cut = place.with_name("whole"), place.with_name("cut")
    processes.run(run, recipe, whole)
    for stop_after in (5, 10):
        processes.run(cut_and_resume, recipe, cut / str(stop_after), stop_after)
        assert is_same_run(RunFolder(cut / str(stop_after)), RunFolder(whole))


@pytest.mark.parametrize("ema", [None, 0.9])
def test_two_processes_resume_to_the_same_bits(
    ema: float | None, two_at_a_time: Recipe, small_place: RunFolder, pair: Processes
) -> None:
    recipe = replace(two_at_a_time, optimizer=OptimizerOptions(optimizer="adamw", ema=ema))
    check_resuming(recipe, small_place.path, pair)


def test_four_processes_resume_to_the_same_bits(
    tiny: Recipe, small_place: RunFolder, four: Processes
) -> None:
    """Batch norm and dropout; and four gradients are added up in an order that must not change."""
    recipe = replace(tiny, save_every_steps=3)
    check_resuming(recipe, small_place.path, four)


def test_another_number_of_processes_can_resume(
    two_at_a_time: Recipe, small_whole: RunFolder, small_place: RunFolder, pair: Processes
) -> None:
    cut_off(two_at_a_time, small_place.path, 5)
    pair.run(resume_here, small_place.path)
    np.testing.assert_allclose(losses(small_place), losses(small_whole), rtol=1e-5)


def listed(folder: Path, place: Path) -> Path:
    """A list of the images in a folder, two of which cannot be read."""
    place.mkdir()
    shutil.copytree(folder, place / "images")
    paths = sorted((place / "images").rglob("*.jpg"))
    rows = [(p.relative_to(place), p.parent.name, p.parent.parent.name) for p in paths]
    lines = ["path,label,split", *(",".join(map(str, row)) for row in rows)]
    (place / "list.csv").write_text("\n".join(lines) + "\n")
    paths[3].write_bytes(paths[3].read_bytes()[:200])
    paths[30].write_bytes(b"")
    return place / "list.csv"


def test_images_that_cannot_be_read_are_named_once(
    small: Recipe, flowers: Path, tmp_path: Path, pair: Processes
) -> None:
    options = replace(small.data_options, max_rejected_fraction=0.5)
    source = listed(flowers, tmp_path / "listed")
    recipe = replace(small, data=str(source), data_options=options)
    alone = RunFolder(tmp_path / "one")
    run(recipe, alone.path)
    for name in ("first", "second"):
        (notes, _), (silence, _) = pair.run(run, recipe, tmp_path / name)
        assert sum("images cannot be used" in note for note in notes) == 1
        assert not silence
    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    assert is_same_run(first, second)
    np.testing.assert_allclose(losses(first), losses(alone), rtol=1e-5)
    rejected = [json.loads(one.result.read_text())["rejected"] for one in (alone, first)]
    assert rejected[0] == rejected[1]
    assert len(rejected[0]) == 2


def resume_here(folder: Path) -> None:
    witness = Witness()
    resume(folder, reporter=witness)
    is_main = current_world().is_main
    assert any("processes 1 -> 2" in note for note in witness.notes) == is_main


def resume_from_another(recipe: Recipe, out: Path, what: str) -> str:
    """What resuming says where the second process sees something else than the first one."""
    cut_off_all(recipe, out, 5)
    is_second = not current_world().is_main
    with pytest.MonkeyPatch.context() as patch:
        if is_second and what == "checkpoint":
            patch.setattr(RunFolder, "saved_checkpoints", lambda folder: [])
        if is_second and what == "recipe":
            patch.setattr(build, "flat_values", lambda recipe: {"optimizer.lr": 0.5})
        if is_second and what == "images":
            patch.setattr(Store, "manifest_hash", lambda store, split: "other")
        with pytest.raises(TrainingError) as different:
            resume(out)
    return str(different.value)


@pytest.mark.parametrize(
    ("what", "difference"),
    [
        ("checkpoint", r"checkpoint: rank 0 \(.*\) has step-000003.*, rank 1 \(.*\) has none"),
        ("images", r"images \(hash of their list\): .*, rank 1 \(.*\) has other"),
        ("recipe", r"arch in the recipe: rank 0 \(.*\) has lenet5, rank 1 \(.*\) has none"),
    ],
)
def test_processes_that_see_different_files_do_not_train_together(
    two_at_a_time: Recipe, small_place: RunFolder, pair: Processes, what: str, difference: str
) -> None:
    first, second = pair.run(resume_from_another, two_at_a_time, small_place.path, what)
    assert first == second
    assert re.match(f"the processes do not start from the same {difference}; see that", first)


def set_up_from(recipe: Recipe, sources: tuple[str, str]) -> str:
    """What setting up says where each process has its own initial weights; "" if nothing."""
    source = sources[current_world().rank]
    try:
        set_up_training(replace(recipe, init_from=source), Witness())
    except TrainingError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("parallel", ["data", "hybrid"])
def test_processes_that_start_from_different_weights_do_not_train_together(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, pair: Processes, parallel: Any
) -> None:
    """Paths may differ; a host that cannot download weights starts from scratch."""
    weights, info, mean_image = load_model(small_whole.model)
    same, other = tmp_path / "same.safetensors", tmp_path / "other.safetensors"
    shutil.copy(small_whole.model, same)
    name = next(iter(weights))
    save_model(other, {**weights, name: weights[name] + 1}, info, mean_image)
    recipe = replace(small, distributed=DistributedOptions(parallel=parallel, devices=2))
    file = str(small_whole.model)
    assert pair.run(set_up_from, recipe, (file, str(same))) == ["", ""]
    for different, digest in ((str(other), "[0-9a-f]{16}"), (SCRATCH, "none")):
        first, second = pair.run(set_up_from, recipe, (file, different))
        assert first == second
        start = "the processes do not start from the same initial weights"
        told = rf"{start} \(hash\): rank 0 \(.*\) has [0-9a-f]{{16}}, rank 1 \(.*\) has {digest};"
        assert re.match(told, first)


def test_a_signal_to_one_process_saves_and_ends_all(
    two_at_a_time: Recipe, small_whole: RunFolder, small_place: RunFolder, pair: Processes
) -> None:
    first, second = pair.run(stop_one, two_at_a_time, small_place.path)
    assert first[:2] == second[:2]
    assert "stopped after step 3 of 12, which is saved" in first[0]
    assert first[1] == signal.SIGTERM
    assert "resuming after step 3 of 12" in first[2]
    assert not second[2]
    np.testing.assert_allclose(losses(small_place), losses(small_whole), rtol=1e-5)


def look_for(folder: Path) -> None:
    check_is_new(folder / "new" if current_world().is_main else folder)


def test_the_first_process_alone_decides_whether_a_run_is_new(
    tmp_path: Path, pair: Processes
) -> None:
    """It may have created the folder before another looks."""
    pair.run(look_for, tmp_path)


@pytest.mark.parametrize(
    ("began", "now", "restarts", "goes_on"),
    [("7", "7", "0", True), ("7", "8", "1", False), ("none", "none", "0", False),
     ("none", "none", "1", True), ("", "none", "1", False)],
)  # fmt: skip
def test_a_job_of_torchrun_goes_on_with_its_own_run(
    began: str,
    now: str,
    restarts: str,
    goes_on: bool,
    small: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(JOB, began)
    job, environment = job_name(), describe_environment(torch.device("cpu"))
    config, runs = config_text(small), Path("runs")
    folders = [create_numbered_run(runs, "tiny", config, environment, job) for _ in range(2)]
    monkeypatch.setenv(JOB, now)
    monkeypatch.setenv(RESTARTS, restarts)
    other = replace(small, seed=1)
    for out, path in ((folders[0].path, folders[0].path), (None, folders[1].path)):
        assert folder_to_go_on(at_size(small, 2), out) == (path if goes_on else None)
        assert folder_to_go_on(other, out) is None
    assert folder_to_go_on(small, tmp_path / "new") is None


def test_one_process_refuses_a_recipe_for_several(small: Recipe, tmp_path: Path) -> None:
    several = replace(small, distributed=replace(small.distributed, devices=2))
    with pytest.raises(UsageError, match="--devices 2 needs 2 processes"):
        train(several, out=tmp_path / "run")
