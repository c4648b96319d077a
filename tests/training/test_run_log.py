"""`run.log`: notes, epochs and the end of a run, over all its sessions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.errors import DivergedError
from alexnet.pretraining.records import PretrainReporter
from alexnet.pretraining.run_log import LoggingPretrainReporter
from alexnet.reporter import NullReporter
from alexnet.training.run_folder import RunFolder
from alexnet.training.run_log import LoggingReporter
from support.runs import Witness, cut_off, resume, train


def lines(folder: RunFolder) -> list[str]:
    """The lines of a log, without their times."""
    found = folder.log.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S", line) for line in found)
    return [line[21:] for line in found]


def test_a_run_keeps_its_notes_and_epochs(trained: RunFolder) -> None:
    kept = lines(trained)
    assert "12 classes" in kept[0], "it came before the folder was made"
    assert f"run folder {trained.path}" in kept
    assert [line[:9] for line in kept if line.startswith("epoch")] == [
        "epoch 1/3", "epoch 2/3", "epoch 3/3",
    ]  # fmt: skip
    assert kept[-1] == "finished"


@pytest.mark.slow
def test_resuming_appends(small: Recipe, small_place: RunFolder, witness: Witness) -> None:
    cut_off(small, small_place.path, 6)
    before = lines(small_place)
    assert "finished" not in before
    resume(small_place.path, reporter=witness)
    kept = lines(small_place)
    assert kept[: len(before)] == before
    assert any(re.match(r"resuming after step \d+ of \d+", line) for line in kept[len(before) :])
    assert [note for note in witness.notes if note not in kept] == []


def test_a_run_that_diverges_says_where(small: Recipe, small_place: RunFolder) -> None:
    wild = replace(small, optimizer=OptimizerOptions(optimizer="sgd", lr=1e30))
    with pytest.raises(DivergedError) as caught:
        train(wild, out=small_place.path)
    assert small_place.diverged.read_text(encoding="utf-8") == f"{caught.value}\n"
    assert lines(small_place)[-1] == str(caught.value)
    small_place.remove_checkpoints()
    small_place.config.write_text(small_place.config.read_text().replace("1e+30", "0.01"))
    resume(small_place.path)
    assert not small_place.diverged.exists()


@pytest.mark.parametrize("method", ["on_download", "on_paint", "on_unpack", "on_index", "on_hash"])
def test_the_progress_of_opening_data_is_passed_on(method: str, witness: Witness) -> None:
    pretraining = LoggingPretrainReporter(cast(PretrainReporter, witness))
    for log in (LoggingReporter(witness), pretraining):
        getattr(log, method)(3, 7)
    assert witness.progress == {method: [(3, 7)] * 2}
    getattr(LoggingReporter(NullReporter()), method)(3, 7)  # which has no such method


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, witness: Witness) -> None:
    log = LoggingReporter(witness)
    log.note("early")
    log.open(tmp_path)
    log.note("late")
    assert witness.notes == ["early", "late"]
    log.open(tmp_path / "run.log")
    log.note("odd\nname")
    assert [line[21:] for line in (tmp_path / "run.log").read_text().splitlines()] == [r"odd\nname"]
