"""A case of each harness in tests/stress, with real processes and real signals."""

from __future__ import annotations

import random
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from stress.__main__ import HARNESSES, WITH_SCHEMATHESIS
from stress.children import die_at_change, full_from_change, plain_plots
from stress.full_disk import limited
from stress.kills import run_through_signals, state_of_run
from stress.races import race
from stress.subjects import (
    Preparing,
    Training,
    paint_images,
    prepare_undisturbed,
    recipes,
    train_undisturbed,
)
from stress.tally import Tally, counted, table


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """The shortest of the harnesses' runs, one epoch long."""
    folder = tmp_path_factory.mktemp("stress")
    paint_images(folder / "images")
    return train_undisturbed(recipes(folder / "images", 1)[1], folder / "whole", (plain_plots,))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Preparing:
    """The harnesses' store of images."""
    return prepare_undisturbed(tmp_path_factory.mktemp("stress") / "store")


# real processes


@pytest.mark.slow
def test_a_run_through_random_signals_ends_in_the_same_bytes(
    training: Training, tmp_path: Path
) -> None:
    trial = run_through_signals(training, state_of_run, random.Random(4), tmp_path, (plain_plots,))
    assert trial.problem == ""
    assert trial.outcomes


@pytest.mark.slow
def test_a_run_killed_by_the_system_between_two_writes_is_resumed(
    training: Training, tmp_path: Path
) -> None:
    """SIGKILL itself; tests/training/test_kill_points.py tries many points without processes."""
    before = (plain_plots, partial(die_at_change, 24))
    assert training.start(tmp_path, tmp_path / "log", before).wait().code == -9
    assert state_of_run(tmp_path) == "in training, a checkpoint saved"
    ended = training.start(tmp_path, tmp_path / "again", (plain_plots,)).wait()
    assert ended.code == 0, ended.err
    assert "resuming after step 3 of 4" in ended.err
    assert training.difference(tmp_path) == ""


@pytest.mark.slow
def test_of_two_processes_in_one_folder_one_fails(training: Training, tmp_path: Path) -> None:
    first, second = race(training.words(tmp_path / "run"), tmp_path, training.cache)
    assert first.code == 0, first.err
    assert second.is_one_sentence, second.err
    assert training.difference(tmp_path) == ""


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_then_the_same_bytes(
    training: Training, tmp_path: Path
) -> None:
    outcome, problem = limited(training, tmp_path, partial(full_from_change, 30))
    assert (outcome, problem) == ("one sentence, then the same bytes", "")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["kills", "kill_points", "races", "full_disk"])
def test_a_case_of_each_harness_does_not_fail(
    name: str, training: Training, store: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their undisturbed results are made once for all."""
    harness = import_module(f"stress.{name}")
    monkeypatch.setattr(harness, "train_undisturbed", lambda *_: training)
    monkeypatch.setattr(harness, "prepare_undisturbed", lambda _: store)
    tally: Tally = harness.stress(1, 1, tmp_path)
    assert tally.is_clean, table([tally])
    assert tally.tried >= 1


# counting


def test_every_harness_is_there_under_its_name() -> None:
    for harness in (*HARNESSES, WITH_SCHEMATHESIS):
        module = import_module(f"stress.{harness.name}")
        assert callable(module.stress), harness
        assert 0 < harness.quick <= harness.full


def test_a_tally_counts_and_says_what_failed() -> None:
    tally = counted("mutants", ["rejected", "read", "rejected"], ["case 7 of seed 0: hung"])
    assert (tally.tried, tally.outcomes) == (3, {"rejected": 2, "read": 1})
    assert not tally.is_clean
    assert counted("mutants", ["rejected"]).is_clean
    assert not counted("nothing", []).is_clean
    assert asdict(tally)["failures"] == ("case 7 of seed 0: hung",)
    assert table([tally]).splitlines() == [
        "| stress test | tried | how they ended | failures | seconds |",
        "| --- | ---: | --- | ---: | ---: |",
        "| mutants | 3 | 2 rejected; 1 read | 1 | 0 |",
        "",
        "- mutants: case 7 of seed 0: hung",
    ]
