"""The winner against the recipe on new seeds: seeds, pairs, intervals, trainings that diverge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import json_document
from alexnet.errors import DataError, DivergedError
from alexnet.evaluation.results import TopLoss, compute_metrics
from alexnet.evaluation.tables import write_evaluation_tables
from alexnet.reporter import Reporter
from alexnet.training.run_folder import RunFolder
from alexnet.tune import tasks
from alexnet.tune.confirmation import confirm
from alexnet.tune.results import TuneResult, find_winner, write_findings, write_result
from alexnet.tune.trials import TrialSummary, summarize_trials
from alexnet.tune.tuner import Session, run_trials
from tune.conftest import NewSession, made_up

NUM_IMAGES = KEPT = 40


@pytest.fixture
def session(new_session: NewSession) -> Session:
    one = new_session(trials=4)
    run_trials(one)
    return one


@pytest.fixture
def winner(session: Session) -> TrialSummary:
    return summarize_trials(session.study, session.tuning, session.folder)[2]


def evaluated(run: RunFolder, recipe: Recipe, reporter: Reporter, *rest: object) -> None:
    """Of 40 images the recipe gets 20 wrong, plus the seed; every other recipe 10 fewer."""
    made_up(run, recipe, reporter)
    num_wrong = 20 + recipe.seed - 10 * (recipe.optimizer.lr != 0.1)
    labels = np.zeros(NUM_IMAGES, np.int64)
    predicted = (np.arange(NUM_IMAGES) < num_wrong).astype(int)
    rows = tuple(
        TopLoss(i, f"{i}.jpg", "a", "ab"[k], 0.5, 0.5, k == 0) for i, k in enumerate(predicted)
    )
    probabilities = np.eye(2, dtype=np.float32)[predicted]
    found = compute_metrics(probabilities, labels, ("a", "b"), split="val", top_losses=rows[:KEPT])
    write_evaluation_tables(found, run.evaluation)
    run.result.write_text("{}")


def test_pairs_of_new_seeds_give_the_difference_with_its_interval(
    session: Session, winner: TrialSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "train_or_resume", evaluated)
    done: list[tuple[int, int]] = []
    found = confirm(session, winner, 3, lambda *counts: done.append(counts))
    assert found is not None
    assert found.seeds == (1, 2, 3)
    assert found.recipe_errors == (21 / 40, 22 / 40, 23 / 40)
    assert found.winner_errors == (11 / 40, 12 / 40, 13 / 40)
    assert found.difference == pytest.approx(-10 / 40)
    assert found.interval is not None
    assert -0.42 < found.interval.low < -0.3 < -0.2 < found.interval.high < -0.1
    assert (found.num_images, found.split) == (40, "val")  # the made-up data has no test images
    assert (done[0], done[-1]) == ((0, 6), (6, 6))
    run = RunFolder(session.folder.path / "confirm" / "trial-002-s2")
    assert run.model.exists()
    monkeypatch.setattr(tasks, "train_or_resume", None)  # nothing is trained again
    assert confirm(session, winner, 3) == found
    one = confirm(session, winner, 1)
    assert one is not None
    assert one.interval is None
    lock = session.folder.claim_confirmation()  # as another process holds it
    assert lock is not None
    assert confirm(session, winner, 3) is None
    lock.release()


def test_a_training_that_diverges_gets_all_images_wrong(
    session: Session, winner: TrialSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(run: RunFolder, recipe: Recipe, reporter: Reporter, *rest: object) -> None:
        if recipe.optimizer.lr == winner.values["lr"]:
            run.path.mkdir(parents=True)
            run.write_diverged(DivergedError("not finite"))
            raise DivergedError("not finite")
        evaluated(run, recipe, reporter)

    monkeypatch.setattr(tasks, "train_or_resume", diverging)
    found = confirm(session, winner, 2)
    assert found is not None
    assert found.winner_errors == (1.0, 1.0)
    damaged = session.folder.path / "confirm" / "recipe-s1" / "evaluation" / "top_losses.csv"
    whole = damaged.read_text()
    for text, message in (
        ("index,label\n0,a\n", "is damaged; remove"),
        ("nothing\n", "is damaged; remove"),
        (whole.replace("\n39,", "\n49,"), "on different images"),
    ):
        damaged.write_text(text)
        with pytest.raises(DataError, match=message):
            confirm(session, winner, 2)


def test_more_images_than_predictions_are_kept_of(
    session: Session, winner: TrialSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "train_or_resume", evaluated)
    monkeypatch.setitem(globals(), "KEPT", 10)  # all of them wrong
    monkeypatch.setattr("alexnet.reports.predictions.MAX_TOP_LOSSES", 10)
    found = confirm(session, winner, 3)
    assert found is not None
    assert found.recipe_errors == pytest.approx((21 / 40, 22 / 40, 23 / 40))
    assert found.num_images == 40
    assert found.difference == pytest.approx(-10 / 40)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(found.interval.high)  # the seeds agree


def test_what_is_written(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.plots.save", lambda figure, path: None)
    tuning, folder = session.tuning, session.folder
    found = find_winner(session.study, tuning, folder)
    figures = write_findings(tuning, folder, found)
    assert [Path(figure).name for figure in figures] == ["parallel_coordinates.png"]
    result = write_result(
        tuning, folder, found, command="alexnet train", confirmation=None, figures=figures
    )
    assert isinstance(result, TuneResult)
    assert folder.result.read_text() == json_document(result) + "\n"
    written = json.loads(folder.winner.read_text())
    assert written["optimizer"]["lr"] == found.winner.values["lr"]
