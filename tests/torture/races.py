"""Two processes that do the same at the same moment: prepare a store, go on with a run, begin one.

One may win, or both may; what is there in the end must be whole, and the loser told in a sentence.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torture.children import Ended, die_at_change, plain_plots, start, wait_for
from torture.kill_points import changes_of
from torture.subjects import (
    MEASURED,
    Preparing,
    Training,
    attempt,
    draw_pictures,
    folders_differ,
    prepared_in_peace,
    recipes,
    trained_in_peace,
)
from torture.tally import Tally, counted


def torture(count: int, seed: int, folder: Path) -> Tally:
    """`count` races, of four kinds in turn; the system's timing decides them, and not `seed`."""
    draw_pictures(folder / "pictures")
    recipe = recipes(folder / "pictures", epochs=2)[0]
    training = trained_in_peace(recipe, folder / "whole", (plain_plots,))
    store, stopped = prepared_in_peace(folder / "store"), stopped_run(training, folder)
    kinds: tuple[Callable[[Path], tuple[str, str]], ...] = (
        partial(both_prepare, store),
        partial(both_resume, training, stopped),
        partial(both_begin, training),
        partial(both_begin_there, training),
    )
    outcomes, failures = list[str](), list[str]()
    for number in range(count):
        place = folder / f"race-{number}"
        place.mkdir()
        try:
            outcome, problem = kinds[number % len(kinds)](place)
        except TimeoutError as error:
            outcome, problem = "hung", str(error)
        outcomes.append(outcome)
        if problem:
            failures.append(f"race {number}: {problem}")
    return counted("two processes at once", outcomes, failures)


def race(words: list[str], place: Path, cache: Path) -> list[Ended]:
    """Two processes of one command that begin at once in a folder; the winner first."""
    before = (plain_plots, partial(os.chdir, place), partial(wait_for, place / "gate"))
    names = ("one", "two")
    children = [start(words, cache=cache, log=place / name, before=before) for name in names]
    (place / "gate").touch()
    return sorted((child.wait() for child in children), key=lambda ended: ended.code)


def told(endings: list[Ended]) -> str:
    """What both said, for a failure."""
    return "; ".join(f"{ended.code}: {ended.err[-300:]}" for ended in endings)


def both_prepare(store: Preparing, place: Path) -> tuple[str, str]:
    """Both are to end well, with one store between them."""
    endings = race(store.words, place, place / "cache")
    is_well = [ended.code for ended in endings] == [0, 0] and endings[0].out == endings[1].out
    return "both prepared one store", store.difference(place) if is_well else told(endings)


def both_resume(training: Training, stopped: Path, place: Path) -> tuple[str, str]:
    """One is to go on and end in the same bytes, the other to be refused in a sentence."""
    shutil.copytree(stopped, place / "run")
    endings = race(training.words(place / "run"), place, training.cache)
    sentences = ("another process is training", "has ended already")
    is_well = endings[0].code == 0 and endings[1].is_one_sentence
    is_well = is_well and any(sentence in endings[1].err for sentence in sentences)
    difference = training.difference(place) if is_well else told(endings)
    return "one went on, the other was refused", difference


def both_begin(training: Training, place: Path) -> tuple[str, str]:
    """Without --out each is to get a run folder of its own."""
    endings = race(["train", "--config", str(training.config)], place, training.cache)
    runs = sorted((place / "runs").glob("*"))
    if [ended.code for ended in endings] != [0, 0] or len(runs) != 2:
        return "both began, a folder each", told(endings)
    differences = [folders_differ(training.whole, run, MEASURED) for run in runs]
    return "both began, a folder each", "".join(differences)


def both_begin_there(training: Training, place: Path) -> tuple[str, str]:
    """With one --out, one is to train there and the other to be refused."""
    endings = race(training.words(place / "run"), place, training.cache)
    is_well = endings[0].code == 0 and endings[1].is_one_sentence
    difference = training.difference(place) if is_well else told(endings)
    return "one began, the other was refused", difference


def stopped_run(training: Training, folder: Path) -> Path:
    """The folder of a run that was killed halfway."""
    place, changes = folder / "stopped", changes_of(training, folder / "noted")
    attempt(
        training, place, place / "log", (plain_plots, partial(die_at_change, len(changes) // 2))
    )
    assert any((place / "run" / "states").iterdir())
    return place / "run"
