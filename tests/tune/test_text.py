"""The winning command trains the winner; the line of progress; the table."""

from __future__ import annotations

import io
import shlex
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from alexnet.api.recipes import read_call
from alexnet.cli.run_options import DEFAULT_TRAIN_OPTIONS, choosing_flags
from alexnet.cli.train import read_recipe
from alexnet.cli.tune_progress import TuneProgress, status_text
from alexnet.cli.tune_text import (
    going_text,
    result_text,
    start_text,
    trials_table,
    winner_command,
)
from alexnet.config.recipe import Recipe
from alexnet.tune.plan import Tuning
from alexnet.tune.results import TuneResult, winner_recipe
from alexnet.tune.space import Parameter
from alexnet.tune.trials import TrialSummary, winner_of
from alexnet.tune.tuner import Status
from support.slow import first_fast

SPACE = (
    Parameter(option="lr", low=1e-4, high=1e-2, log=True),
    Parameter(option="flip", choices=(True, False)),
    Parameter(option="rand_augment", choices=([1, 5], [2, 9])),
    Parameter(option="freeze_up_to", choices=("", "conv3")),
)


def trial(number: int = 1, error: float | None = 0.25, **changes: object) -> TrialSummary:
    plain = TrialSummary(
        number=number,
        state="finished",
        is_recipe=False,
        values={},
        changed={},
        val_top1_error=error,
        val_loss=1.0,
        epochs=3,
        seconds=2.0,
        path=None,
        reason="",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def recipe_of(words: list[str]) -> Recipe:
    """The recipe that `alexnet train WORDS` trains."""
    preset, *rest = words
    given, rest = choosing_flags(rest)
    return read_recipe(rest, DEFAULT_TRAIN_OPTIONS, read_call(preset, "", given).recipe(), given)[0]


@pytest.mark.parametrize(
    "changed",
    first_fast(
        (
            {"lr": 0.00123, "flip": False, "rand_augment": [2, 9], "freeze_up_to": "conv3"},
            {"lr": 0.1 + 0.2, "freeze_up_to": ""},
        )
    ),
)
def test_the_command_trains_the_winner(changed: dict[str, object]) -> None:
    typed = ["--lr", "0.5", "--no-flip", "--rand-augment", "3", "4", "--epochs=7", "--no-compile"]
    start = recipe_of(["mnist_lenet", *typed])
    images = replace(start.data_options, split_seed=0, val_fraction=0.2, test_per_class=0)
    recipe = replace(start, data_options=images, keep_state=False)
    tuning = Tuning(start=start, recipe=recipe, space=SPACE, data="", images={})
    found = trial(changed=changed)
    command = shlex.split(winner_command(["mnist_lenet"], typed, "", tuning, found))
    assert command[:3] == ["alexnet", "train", "mnist_lenet"]
    assert "0.5" not in command
    assert recipe_of(command[2:]) == winner_recipe(tuning, found)


def test_the_table_has_the_best_ten_and_the_recipe() -> None:
    trials = [trial(i, (99 - i) / 100, values={"lr": i / 10}) for i in range(20)]
    trials[0] = replace(trials[0], is_recipe=True, state="pruned")
    lines = trials_table(trials, SPACE[:1]).splitlines()
    assert lines[2].split() == ["19", "finished", "3", "80.00", "%", "1.9"]
    assert lines[-1].startswith("0 (recipe)")
    assert len(lines) == 2 + 10 + 1


@pytest.mark.parametrize(
    ("errors", "begin", "end"),
    [
        (
            (0.0, 0.0, 0.0, 0.1),
            "winner    the recipe itself: validation error 0.0 % (0.0 to 27.8 %) on 10 images, "
            "equal to 2 other trials",
            "; no trial was better, so nothing is confirmed",
        ),
        (
            (0.2, 0.1, 0.1, 0.1),
            "winner    trial 1: validation error 10.0 % (1.8 to 40.4 %) on 10 images, equal to 2 "
            "other trials",
            "; the recipe: 20.00 %; the lowest of many, so it is too good",
        ),
        (
            (0.2, 0.1, 0.3, 0.4),
            "winner    trial 1: validation error 10.0 % (1.8 to 40.4 %) on 10 images",
            "; the recipe: 20.00 %; the lowest of many, so it is too good",
        ),
    ],
)
def test_the_winner_is_told_with_the_number_of_its_equals(
    errors: tuple[float, ...], begin: str, end: str
) -> None:
    trials = [trial(i, error, is_recipe=not i) for i, error in enumerate(errors)]
    trials.append(trial(4, min(errors), state="pruned"))
    winner = winner_of(trials)
    assert winner
    result = TuneResult(
        folder="out", recipe="r", data="d", images={"val": 10}, space=(), trials=tuple(trials),
        winner=winner, command="alexnet train", config="c.json", importances={},
        importance_trials=0, importance_epochs=0, confirmation=None, plots=(),
    )  # fmt: skip
    (line,) = (one for one in result_text(result).splitlines() if one.startswith("winner"))
    assert line == begin + end


def test_the_start_says_what_comes_and_warns_of_a_short_time() -> None:
    session = SimpleNamespace(jobs=2, trials=40, minutes=60.0, folder=SimpleNamespace(path="out"))
    (line,) = start_text(session, 3, 120.0)  # type: ignore[arg-type]
    assert line == (
        "40 trials, 2 at once, at most 60 min, into out; "
        "then 6 trainings confirm the winner, about 12 min"
    )
    line, warning = start_text(session, 0, 1000.0)  # type: ignore[arg-type]
    assert line.endswith("into out; no confirmation")
    assert warning.startswith("a whole training takes about 17 min, so 60 min are short")


def test_what_is_left_to_do_is_told() -> None:
    trials = [trial(0), trial(1, state="unfinished")]
    assert list(going_text(trials[:1], 1, 0)) == []
    assert "1 of 2 trials have ended; the same command" in next(going_text(trials, 2, 0))
    assert "another process still does 1 trial" in next(going_text(trials, 2, 1))


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere() -> None:
    status = Status(
        ended=7, pruned=3, running=2, trials=40, best_error=0.0824, best_trial=5, seconds_left=125
    )
    assert status_text(status) == (
        "7 of 40 trials, 3 pruned, 2 running  best 8.2 % (trial 5)  2 min left"
    )
    assert "none finished" in status_text(replace(status, best_error=None))
    for is_terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=120)
        with TuneProgress(console) as progress:
            progress.show(status)
            progress.show_confirming(1, 6)
        assert bool(console.file.getvalue()) == is_terminal  # type: ignore[attr-defined]
