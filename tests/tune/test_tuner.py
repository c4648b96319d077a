"""Sessions with made-up trainings: all ends of trials, what is left by a kill, several folders."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from optuna.storages.journal import JournalFileOpenLock
from optuna.trial import TrialState

from alexnet.config.recipe import Recipe
from alexnet.errors import TrainingError, UsageError
from alexnet.reporter import Reporter
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.runtime.workers import WorkerLostError
from alexnet.training.run_folder import RunFolder
from alexnet.tune import tasks, tuner
from alexnet.tune.folder import open_folder
from alexnet.tune.plan import Tuning
from alexnet.tune.results import find_winner
from alexnet.tune.space import Parameter, Space
from alexnet.tune.study import ask, handle, mend_journal, open_study
from alexnet.tune.trials import (
    TrialSummary,
    best_first,
    num_equal,
    ranked,
    summarize_trials,
    winner_of,
)
from alexnet.tune.tuner import Session, num_elsewhere, run_trials
from support.slow import first_fast
from tune.conftest import SPACE, NewSession, error_of, made_up


def trials_of(session: Session) -> tuple[TrialSummary, ...]:
    return summarize_trials(session.study, session.tuning, session.folder)


def test_trials_end_in_every_way_and_the_lowest_error_wins(new_session: NewSession) -> None:
    session = new_session(trials=13)
    run_trials(session)
    trials = trials_of(session)
    assert [trial.number for trial in trials] == list(range(13))
    assert {trial.state for trial in trials} == {"finished", "pruned", "diverged", "failed"}
    recipe = trials[0]
    assert (recipe.is_recipe, recipe.state, recipe.changed) == (True, "finished", {})
    assert recipe.val_top1_error == error_of(session.tuning.recipe, 9)
    assert recipe.seconds == 9 * 1.5
    finished = [t for t in trials if t.state == "finished" and t.val_top1_error is not None]
    winner = find_winner(session.study, session.tuning, session.folder).winner
    assert winner.val_top1_error == min(t.val_top1_error for t in finished if t.val_top1_error)
    assert all(trial.epochs == 9 for trial in finished)
    assert {t.reason for t in trials if t.state == "failed"} == {"out of memory"}
    assert all("not finite" in t.reason for t in trials if t.state == "diverged")
    kept = {trial.number for trial in trials if session.folder.trial(trial.number).model.exists()}
    best = sorted(finished, key=lambda t: (t.val_top1_error, t.val_loss, t.number))
    assert kept == {trial.number for trial in best[:3]}
    assert not list(session.folder.path.glob("trials/.*.lock"))


EQUAL_LOSSES = (0.9, 0.5, 0.3, None)
"""Of the recipe and three other trials, whose validation errors are equal."""


@pytest.mark.parametrize(
    ("recipe_error", "space", "order"),
    [
        (0.25, SPACE, [0, 2, 1, 3]),
        (0.5, SPACE, [2, 1, 3, 0]),
        (0.25, (*SPACE, Parameter(option="label_smoothing", low=0.0, high=0.3)), [0, 1, 2, 3]),
        (0.5, (Parameter(option="cutmix", low=0.0, high=1.0),), [1, 2, 3, 0]),
        (0.5, (Parameter(option="class_weights", choices=("none", "balanced")),), [1, 2, 3, 0]),
    ],
)
def test_of_equal_trials_the_recipe_wins_then_a_loss_that_can_be_compared(
    recipe_error: float, space: Space, order: list[int], new_session: NewSession, tuning: Tuning
) -> None:
    session = new_session(tuned=replace(tuning, space=space))
    for loss in EQUAL_LOSSES:
        number = ask(session.study, session.tuning, session.folder.number).number
        one, error = handle(session.study, number), 0.25 if number else recipe_error
        if loss is not None:
            one.set_user_attr(tasks.LOSS, loss)
        one.report(error, 9)
        session.study.tell(one, error)
    assert [one.number for one in best_first(session.study.get_trials())] == order
    assert [one.number for one in ranked(trials_of(session))] == order
    winner = find_winner(session.study, session.tuning, session.folder).winner
    assert winner.number == order[0]
    assert num_equal(winner, trials_of(session)) == (3 if recipe_error == 0.25 else 2)


@pytest.mark.slow
def test_a_continued_study_has_the_trials_of_one_that_was_not_stopped(
    new_session: NewSession,
) -> None:
    run_trials(new_session(trials=4))
    continued, whole = new_session(trials=12), new_session(trials=12, out="whole")
    run_trials(continued)
    run_trials(whole)
    assert [t.values for t in trials_of(continued)] == [t.values for t in trials_of(whole)]
    run_trials(new_session(trials=12))
    assert len(trials_of(continued)) == 12


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.mark.parametrize("moment", first_fast(("asked", "trained", "told")))
def test_a_kill_loses_and_doubles_no_trial(
    moment: str, new_session: NewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the third trial: before it has its values, in its training, before the study knows."""
    whole = new_session(5, "whole")
    run_trials(whole)
    calls: Iterator[int] = iter(range(99))
    module, name = {
        "asked": ("alexnet.tune.study", "suggest"),
        "trained": ("alexnet.tune.tasks", "train_or_resume"),
        "told": ("alexnet.tune.tasks", "end"),
    }[moment]
    with monkeypatch.context() as patch:

        def killed(*arguments: object, **named: object) -> object:
            if next(calls) == (5 if moment == "asked" else 2):
                raise KilledError
            return before(*arguments, **named)

        before = getattr(import_module(module), name)
        patch.setattr(f"{module}.{name}", killed)
        with pytest.raises(KilledError):
            run_trials(new_session(5))
    continued = new_session(5)
    run_trials(continued)
    found, expected = trials_of(continued), trials_of(whole)
    assert [t.number for t in found] == list(range(5))
    alike = [t.number for t in found if t.number != 2 or moment != "asked"]  # its values are new
    assert [(found[i].values, found[i].state) for i in alike] == [
        (expected[i].values, expected[i].state) for i in alike
    ]
    assert "unfinished" not in {trial.state for trial in found}


def test_a_trial_of_another_process_is_left_to_it(
    new_session: NewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process stands still in its trial while the second does all others."""
    first, second = new_session(trials=5), new_session(trials=5)
    task = tuner.next_task(first)
    assert task is not None
    assert task.is_recipe
    run_trials(second)
    assert [t.state == "unfinished" for t in trials_of(second)] == [True] + [False] * 4
    assert num_elsewhere(second) == 1
    first.folder.release_all()
    run_trials(second)
    assert trials_of(second)[0].state == "finished"
    assert num_elsewhere(second) == 0


@pytest.mark.parametrize("prefix", first_fast(("", "sqlite:///")))
def test_two_folders_share_a_study(prefix: str, new_session: NewSession, tmp_path: Path) -> None:
    study = f"{prefix}{tmp_path}/tune.study"
    first, second = new_session(5, "a", study), new_session(9, "b", study)
    left = tuner.next_task(first)  # its machine was switched off
    assert left is not None
    first.folder.release_all()
    run_trials(second)
    trials = trials_of(second)
    assert [t.path is None for t in trials] == [True] + [False] * 8
    assert trials[0].state == "unfinished"
    run_trials(new_session(9, "a", study))
    assert trials_of(first)[0].state == "finished"


def test_the_recipe_that_cannot_be_trained_ends_all(
    new_session: NewSession, tuning: Tuning
) -> None:
    broken = replace(tuning, recipe=replace(tuning.recipe, batch_size=32))
    with pytest.raises(TrainingError, match=r"the recipe itself.*out of memory"):
        run_trials(new_session(tuned=broken))


def test_without_a_finished_trial_the_way_on_is_told(
    new_session: NewSession, tuning: Tuning
) -> None:
    lr = replace(tuning.recipe, optimizer=replace(tuning.recipe.optimizer, lr=0.9))
    session = new_session(trials=1, tuned=replace(tuning, recipe=lr, start=lr))
    with pytest.raises(TrainingError, match=r"no trial has finished.*--minutes"):
        find_winner(session.study, session.tuning, session.folder)
    run_trials(session)
    with pytest.raises(TrainingError, match=r"all 1 trials diverged; try a lower --lr than 0\.9"):
        find_winner(session.study, session.tuning, session.folder)


def test_when_all_trials_have_failed_the_first_reason_is_told(
    new_session: NewSession, tuning: Tuning
) -> None:
    broken = replace(tuning.recipe, batch_size=32)
    session = new_session(trials=1, tuned=replace(tuning, recipe=broken, start=broken))
    with pytest.raises(TrainingError, match="the recipe itself"):
        run_trials(session)
    message = r"\(1 failed; the first because of: out of memory\); .* more --trials, or .* --out$"
    with pytest.raises(TrainingError, match=message):
        find_winner(session.study, session.tuning, session.folder)


def test_a_study_of_something_else_is_refused(new_session: NewSession, tuning: Tuning) -> None:
    new_session()
    longer = replace(tuning.recipe, epochs=10)
    for other, message in (
        (replace(tuning, recipe=longer), r"another recipe \(--epochs was 9, and is 10\)"),
        (replace(tuning, space=tuning.space[:1]), r"another space \(--batch-size\)"),
        (replace(tuning, data="e"), "other images than those of toyflowers"),
    ):
        with pytest.raises(UsageError, match=message):
            new_session(tuned=other)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("")
    with pytest.raises(UsageError, match="holds no tuning; choose another --out"):
        open_folder(tmp_path / "photos", "")
    open_folder(tmp_path / "a", "sqlite:///a.db")
    open_folder(tmp_path / "a", "")
    with pytest.raises(UsageError, match=r"has its study in sqlite:///a.db, not in b.journal"):
        open_folder(tmp_path / "a", "b.journal")


@pytest.mark.slow
def test_an_address_that_leads_nowhere_is_told(tuning: Tuning, tmp_path: Path) -> None:
    for address in ("nonsense://x", f"sqlite:///{tmp_path}/nowhere/tune.db"):
        with pytest.raises(UsageError, match=f"cannot open the study {address}"):
            open_study(address, tuning)


def test_a_torn_line_of_the_journal_is_removed(new_session: NewSession) -> None:
    session = new_session(trials=2)
    run_trials(session)
    path = Path(session.folder.study)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":4,"wor')
    mend_journal(path, JournalFileOpenLock(str(path)))
    assert path.read_bytes() == whole
    path.write_bytes(whole + b'{"op_code":4,"wor')
    continued = new_session(trials=3)
    run_trials(continued)
    assert len(trials_of(continued)) == 3
    path.write_bytes(b"no journal\n" + whole)
    with pytest.raises(UsageError, match="cannot open the study"):
        new_session()


def test_a_process_that_is_killed_twice_in_a_trial_fails_it(new_session: NewSession) -> None:
    session = new_session()
    end_one(session)
    for deaths in (1, 2):
        assert lose_one(session) == 1
        assert (trials_of(session)[1].state == "failed") == (deaths == 2)
    assert "exit code -9" in trials_of(session)[1].reason


def lose_one(session: Session) -> int:
    """Begin the next trial, whose process is killed then; its number."""
    task = tuner.next_task(session)
    assert task is not None
    tuner.lose_process(session, WorkerLostError(task, -9))
    return task.number


def end_one(session: Session) -> None:
    """Do the next trial, which finishes."""
    task = tuner.next_task(session)
    assert task is not None
    tasks.end(handle(session.study, task.number), RunFolder(task.path), TrialState.COMPLETE, 0.5)
    tuner.end_task(session, task)


def test_a_recipe_whose_process_is_killed_twice_ends_the_tuning(new_session: NewSession) -> None:
    session = new_session()
    lose_one(session)
    with pytest.raises(TrainingError, match=r"the recipe itself, .*: the process of .* code -9"):
        lose_one(session)


def test_trials_in_a_row_that_are_lost_end_the_tuning(new_session: NewSession) -> None:
    """A trial that is lost once, or whose neighbors finish, does not."""
    session = new_session(trials=20)
    end_one(session)
    for _ in range(2):
        for _ in range(4):
            lose_one(session)
        lose_one(session)
        end_one(session)
    for _ in range(5):
        lose_one(session)
    with pytest.raises(TrainingError, match=r"3 trials in a row were lost 2 times each, .*--jobs"):
        lose_one(session)
    session = new_session(trials=20)
    session.jobs = 5
    for _ in range(9):
        lose_one(session)
    with pytest.raises(TrainingError, match="5 trials in a row"):
        lose_one(session)


def test_a_trial_that_is_out_of_memory_twice_fails_and_the_others_go_on(
    new_session: NewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def too_large(run: RunFolder, recipe: Recipe, reporter: Reporter, *rest: object) -> None:
        trained.append(recipe)
        if len(trained) == 1 or recipe.batch_size == 8:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        made_up(run, replace(recipe, batch_size=16), reporter)

    session = new_session(trials=3)
    monkeypatch.setattr(tasks, "train_or_resume", too_large)
    run_trials(session)
    trials = trials_of(session)
    assert trials[0].state == "finished", "it was lost once"
    lost = [trial for trial in trials if trial.values["batch_size"] == 8]
    assert lost
    assert all(trial.state == "failed" and "out of memory" in trial.reason for trial in lost)
    assert len(trained) == 3 + 1 + len(lost)
    assert not list(session.folder.path.glob("trials/.*.lock"))


def test_a_fault_of_the_program_is_raised_and_fails_its_trial_when_it_comes_again(
    new_session: NewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_fault(*arguments: object) -> None:
        raise KeyError("fc8")

    session = new_session()
    monkeypatch.setattr(tasks, "train_or_resume", at_fault)
    for state in ("unfinished", "failed"):
        with pytest.raises(KeyError):
            run_trials(session)
        assert [trial.state for trial in trials_of(session)] == [state]
    assert trials_of(session)[0].reason == "KeyError: 'fc8'"


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_full_disk_stops_the_session_and_fails_no_trial(
    new_session: NewSession, monkeypatch: pytest.MonkeyPatch, is_wrapped: bool
) -> None:
    """While it is full, however often the command is repeated."""

    def full(run: RunFolder, *arguments: object) -> None:
        run.path.mkdir(parents=True, exist_ok=True)
        run.model.write_text("weights")
        error = OSError(errno.ENOSPC, "No space left on device", "run.log")
        if not is_wrapped:  # as by what a training reads before its first step
            raise error
        raise TrainingError("run.log: ..; fix that and resume with: ..") from error

    session = new_session(trials=2)
    monkeypatch.setattr(tasks, "train_or_resume", full)
    message = r"^trial 0 was stopped by run.log: No space left on device; .* repeat the command"
    for _ in range(3):
        with pytest.raises(TrainingError, match=message):
            run_trials(session)
    assert [trial.state for trial in trials_of(session)] == ["unfinished"]
    assert session.folder.trial(0).model.exists()
    monkeypatch.setattr(tasks, "train_or_resume", made_up)
    run_trials(session)
    assert trials_of(session)[0].state == "finished"


def test_when_the_time_is_over_a_trial_is_stopped_and_stays_unfinished(
    new_session: NewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = new_session()
    session.minutes = 0.0
    run_trials(session)
    assert not trials_of(session)

    def stopped(run: object, recipe: object, reporter: Any, plot: object) -> None:
        session.deadline = 0.0
        reporter.on_step(None)
        raise TrainingInterrupted("stopped", signal.SIGTERM)

    monkeypatch.setattr(tasks, "train_or_resume", stopped)
    session.minutes = 9.0
    run_trials(session)
    assert [trial.state for trial in trials_of(session)] == ["unfinished"]
    assert session.study.trials[0].state == TrialState.RUNNING
    assert winner_of(trials_of(session)) is None

    def interrupted(*arguments: object) -> None:
        session.deadline = 0.0  # between the last step and the signal
        raise TrainingInterrupted("stopped", signal.SIGINT)

    monkeypatch.setattr(tasks, "train_or_resume", interrupted)
    with pytest.raises(TrainingInterrupted, match="the trials that ran are saved"):
        run_trials(session)
    monkeypatch.setattr(tasks, "train_or_resume", made_up)
    session.trials = 3
    run_trials(session)
    assert len(trials_of(session)) == 3
