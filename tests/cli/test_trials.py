"""`train --dry-run`, `--find-lr`, `--overfit-one-batch`: what they print and write."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from alexnet.cli.trials import duration_text, is_round, suggestion_text
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_dict, to_json
from support.commands import Command

pytestmark = pytest.mark.usefixtures("small_place", "no_plots")


@pytest.fixture
def words(small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The command that trains the small recipe, in an empty folder."""
    (tmp_path / "small.json").write_text(to_json(small))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return ("train", "--config", str(tmp_path / "small.json"))


def test_a_dry_run_prints_the_recipe_and_what_it_needs(
    command: Command, words: tuple[str, ...], small: Recipe
) -> None:
    told = command(*words, "--dry-run", "--accumulate", 2, "--warmup-epochs", 3)
    assert told.code == 0, told.err
    assert "never falls" in told.err
    assert told.out.startswith("data      ")
    assert re.search(r"^ +--accumulate 2 \(preset: 1\)$", told.out, re.M)
    assert told.out.endswith("          --json prints the whole recipe\n")
    assert len(told.out.splitlines()) < 40
    lines = dict(line.split(maxsplit=1) for line in told.out.splitlines() if line[0] != " ")
    assert re.match(r"preset \w+, changed by$", lines["recipe"])
    assert "12 classes, 36 train, 12 val, 12 test images" in lines["data"]
    assert lines["batch"] == "8x1x32x32, from stored images of 32x32x3; 2 of them for one update"
    assert lines["steps"] == "2 per epoch, 6 in all"
    assert "is there" in lines["disk"]
    assert list(Path().iterdir()) == []
    facts = json.loads(command(*words, "--dry-run", "--json").out)
    assert facts["schema"] == 1
    assert facts["recipe"] == to_dict(small)
    assert facts["memory_bytes"] == sum(facts["memory"].values())


@pytest.mark.slow
def test_find_lr_prints_a_rate_and_writes_a_plot(
    command: Command, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = command(*words, "--find-lr", "--optimizer", "sgd")
    assert told.code == 0, told.err
    rate = told.out.splitlines()[0].split()[-1]
    assert told.out == f"suggested learning rate {rate}: --lr {rate}\nplot      find_lr.png\n"
    assert [path.name for path in Path().iterdir()] == ["find_lr.png"]
    monkeypatch.setattr("alexnet.training.lr_finder.NUM_STEPS", 10)
    facts = json.loads(command(*words, "--find-lr", "--json").out)
    assert (len(facts["lrs"]), facts["plot"]) == (10, "find_lr.png")
    told = command(*words, "--find-lr", "--out", "curve.doc")
    assert (told.code, told.out) == (2, "")
    assert "curve.doc must end in" in told.err


def test_overfitting_prints_its_curve(
    command: Command, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = command(*words, "--overfit-one-batch", "--optimizer", "adamw", "--lr", 0.003)
    assert told.code == 0, told.out
    assert told.out.splitlines()[0].split() == ["step", "loss", "error"]
    assert told.out.splitlines()[-2].endswith(" 0.00 %")
    assert "learned in" in told.out.splitlines()[-1]
    monkeypatch.setattr("alexnet.training.overfit.MAX_STEPS", 2)
    told = command(*words, "--overfit-one-batch", "--lr", 1e-9)
    assert told.code == 1
    assert "not learned in 2 steps; the usual causes are" in told.out
    facts = json.loads(command(*words, "--overfit-one-batch", "--lr", 1e-9, "--json").out)
    assert (facts["is_learned"], len(facts["steps"])) == (False, 2)
    assert list(Path().iterdir()) == []


def test_two_trials_at_once_are_refused(command: Command, words: tuple[str, ...]) -> None:
    told = command(*words, "--find-lr", "--dry-run")
    assert (told.code, told.out) == (2, "")
    assert "--dry-run and --find-lr exclude each other" in told.err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (9e3, "2.5 h")],
)
def test_durations_by_hand(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_round_steps_by_hand() -> None:
    assert [n for n in range(1, 305) if is_round(n)] == [
        *range(1, 10), *range(10, 100, 10), 100, 200, 300,
    ]  # fmt: skip


def test_a_range_test_without_a_fall_suggests_nothing() -> None:
    assert suggestion_text(0.00123) == "suggested learning rate 0.0012: --lr 0.0012"
    assert "no learning rate is suggested" in suggestion_text(None)
