"""Two processes that do the same at once: prepare a store, resume a run, or start one.

One or both may succeed; the files must be complete in the end, and the other process must fail with
one sentence.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stress.children import Ended, die_at_change, plain_plots, start, wait_for_file
from stress.kill_points import changes_of
from stress.subjects import (
    MEASURED,
    Preparing,
    Training,
    attempt,
    folders_differ,
    paint_images,
    prepare_undisturbed,
    recipes,
    train_undisturbed,
)
from stress.tally import Tally, counted


def stress(count: int, seed: int, folder: Path) -> Tally:
    """`count` races, of four kinds in turn; decided by the system's timing, not by `seed`."""
    paint_images(folder / "images")
    recipe = recipes(folder / "images", epochs=2)[0]
    training = train_undisturbed(recipe, folder / "whole", (plain_plots,))
    store, stopped = prepare_undisturbed(folder / "store"), stopped_run(training, folder)
    kinds: tuple[Callable[[Path], tuple[str, str]], ...] = (
        partial(both_prepare, store),
        partial(both_resume, training, stopped),
        partial(both_start, training),
        partial(both_start_in_one_folder, training),
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
    """Start two processes of one command in a folder at once; the successful one comes first."""
    setup = (plain_plots, partial(os.chdir, place), partial(wait_for_file, place / "gate"))
    names = ("one", "two")
    children = [start(words, cache=cache, log=place / name, setup=setup) for name in names]
    (place / "gate").touch()
    return sorted((child.wait() for child in children), key=lambda ended: ended.code)


def messages(endings: list[Ended]) -> str:
    """The messages of both, for a failure."""
    return "; ".join(f"{ended.code}: {ended.err[-300:]}" for ended in endings)


def both_prepare(store: Preparing, place: Path) -> tuple[str, str]:
    """Both must succeed and share one store."""
    endings = race(store.words, place, place / "cache")
    is_well = [ended.code for ended in endings] == [0, 0] and endings[0].out == endings[1].out
    return "both prepared one store", store.difference(place) if is_well else messages(endings)


def both_resume(training: Training, stopped: Path, place: Path) -> tuple[str, str]:
    """One must resume and end in the same bytes, the other must fail with one sentence."""
    shutil.copytree(stopped, place / "run")
    endings = race(training.words(place / "run"), place, training.cache)
    sentences = ("another process is training", "has finished already")
    is_well = endings[0].code == 0 and endings[1].is_one_sentence
    is_well = is_well and any(sentence in endings[1].err for sentence in sentences)
    difference = training.difference(place) if is_well else messages(endings)
    return "one resumed, the other was rejected", difference


def both_start(training: Training, place: Path) -> tuple[str, str]:
    """Without --out each must get its own run folder."""
    endings = race(["train", "--config", str(training.config)], place, training.cache)
    runs = sorted((place / "runs").glob("*"))
    if [ended.code for ended in endings] != [0, 0] or len(runs) != 2:
        return "both started, a folder each", messages(endings)
    differences = [folders_differ(training.whole, run, MEASURED) for run in runs]
    return "both started, a folder each", "".join(differences)


def both_start_in_one_folder(training: Training, place: Path) -> tuple[str, str]:
    """With the same --out, one must train there and the other must fail with one sentence."""
    endings = race(training.words(place / "run"), place, training.cache)
    is_well = endings[0].code == 0 and endings[1].is_one_sentence
    difference = training.difference(place) if is_well else messages(endings)
    return "one started, the other was rejected", difference


def stopped_run(training: Training, folder: Path) -> Path:
    """The folder of a run that was killed halfway."""
    place, changes = folder / "stopped", changes_of(training, folder / "noted")
    attempt(
        training, place, place / "log", (plain_plots, partial(die_at_change, len(changes) // 2))
    )
    assert any((place / "run" / "checkpoints").iterdir())
    return place / "run"
