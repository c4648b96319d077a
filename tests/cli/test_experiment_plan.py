"""`alexnet experiment plan`: seeds, hours, and where its numbers come from."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.serialization import to_json
from alexnet.experiments import kept_results
from alexnet.experiments.results import ExperimentResult
from support.commands import Command

pytestmark = pytest.mark.usefixtures("listed", "constant_speed")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and no kept results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kept_results, "KEPT", tmp_path / "kept")
    return tmp_path


@pytest.fixture
def folder(tiny_result: ExperimentResult, here: Path) -> Path:
    """Where `experiment run tiny --quick` writes, finished."""
    path = here / "runs" / "experiments" / "tiny-quick"
    path.mkdir(parents=True)
    (path / "result.json").write_text(to_json(tiny_result))
    return path


def test_without_an_earlier_result_it_says_what_to_run(command: Command) -> None:
    told = command("experiment", "plan", "dropout", "--quick")
    assert told.code == 0, told.err
    assert "no earlier result" in told.out
    assert "alexnet experiment run dropout --quick" in " ".join(told.out.split())
    facts = json.loads(command("experiment", "plan", "dropout", "--quick", "--json").out)
    assert facts["earlier"] is None
    assert facts["seeds"] == [3, 4, 5, 6, 8, 10, 15, 20]
    assert facts["minutes"] == sorted(facts["minutes"])
    assert facts["comparisons"][0]["power"] is None


def test_a_finished_experiment_gives_seeds_and_half_widths(command: Command, folder: Path) -> None:
    moved = shutil.move(folder, folder.with_name("mine"))
    told = command("experiment", "plan", "tiny", "--quick", "--from", moved)
    assert told.code == 0, told.err
    assert "3 seeds make the half-width" not in told.out
    facts = json.loads(
        command("experiment", "plan", "tiny", "--quick", "--from", moved, "--json").out
    )
    first = facts["comparisons"][0]["power"]
    assert facts["earlier"]["differences"] == []
    assert first["half_widths"] == sorted(first["half_widths"], reverse=True)
    assert first["seeds_if_as_measured"] == 3
    rows = [line.split() for line in told.out.splitlines() if line.startswith("    3 ")]
    assert rows[0][2] == f"{100 * first['half_widths'][0]:.2f}"


def test_the_own_run_is_found_and_a_changed_protocol_is_told(
    command: Command, folder: Path, tiny_result: ExperimentResult
) -> None:
    assert "runs/experiments/tiny-quick" in command("experiment", "plan", "tiny", "--quick").out
    told = command("experiment", "plan", "tiny")
    assert "its protocol differs: lr grid: 0.001 0.01, now 0.001" in told.out


def test_a_kept_result_is_used_where_there_is_no_own_one(
    command: Command, tiny_result: ExperimentResult
) -> None:
    kept_results.keep_result(tiny_result, kept_results.KEPT)
    told = command("experiment", "plan", "tiny")
    assert "from      the kept tiny-quick.json (3 seeds, reproduced)" in told.out


def test_an_own_result_of_an_older_format_is_passed_over_and_named(
    command: Command, folder: Path
) -> None:
    (folder / "result.json").write_text('{"format": 3}')
    told = command("experiment", "plan", "tiny", "--quick")
    assert told.code == 0
    assert "not planned from runs/experiments/tiny-quick" in told.err
    assert "no earlier result" in told.out


def test_a_run_that_ended_early_tells_no_spread(
    command: Command, folder: Path, tiny_result: ExperimentResult
) -> None:
    one = tiny_result.comparisons[0]
    bound = replace(one, interval=replace(one.interval, is_unbounded_above=True))
    result = replace(tiny_result, comparisons=(bound,))
    (folder / "result.json").write_text(to_json(result))
    text = " ".join(command("experiment", "plan", "tiny", "--quick").out.split())
    assert "some ended before they reached the target" in text
    assert "the earlier runs did not compare these arms" in text


def test_mistakes_are_one_sentence(command: Command, folder: Path) -> None:
    for words, message in (
        (("dropuot",), "did you mean dropout"),
        (("dropout", "--from", "nothing"), "holds no finished experiment"),
        (("dropout", "--from", str(folder)), "holds the experiment tiny, not dropout"),
        (("dropout", "--quick", "--data", "imagenet"), "--quick is not for"),
        (("dropout", "--jobs", "0"), "--jobs 0 must be at least 1"),
    ):
        told = command("experiment", "plan", *words)
        assert (told.code, told.out) == (2, "")
        assert message in told.err
