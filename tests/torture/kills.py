"""Training and preparing, killed by SIGKILL at random moments until they are through.

A killed command is given again, as a user would; in the end every file is to be the same to the
byte as where nobody disturbed it. Between the kills, some are asked to stop by SIGINT or SIGTERM.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torture.children import Before, Child, Ended
from torture.subjects import (
    Subject,
    attempt,
    draw_pictures,
    prepared_in_peace,
    recipes,
    trained_in_peace,
)
from torture.tally import Tally, counted

EPOCHS = 5
MOST_SIGNALS = 4
"""A life is disturbed so often at most, before it is left alone."""
ENDS = {signal.SIGKILL: (-9,), signal.SIGINT: (130, -2), signal.SIGTERM: (143, -15)}
"""Exit codes that a signal may lead to: saved and stopped, or ended before there was a run."""


@dataclass(frozen=True, slots=True)
class Life:
    """A command from its beginning to its end, through some signals."""

    outcomes: list[str]
    """One for every signal that came in time."""
    problem: str = ""
    """What is wrong in the end, if anything."""


def torture(count: int, seed: int, folder: Path) -> Tally:
    """`count` SIGKILLs, in lives of which every fourth is a store's, the others runs'."""
    draw, outcomes, failures = random.Random(seed), list[str](), list[str]()
    draw_pictures(folder / "pictures")
    runs = recipes(folder / "pictures", EPOCHS)
    trainings = [trained_in_peace(recipe, folder / "whole") for recipe in runs]
    subjects: list[tuple[Subject, Callable[[Path], str]]] = [
        (prepared_in_peace(folder / "store"), found_of_store),
        *[(training, found_of_run) for training in trainings],
    ]
    killed = number = 0
    while killed < count:
        subject, found = subjects[number % len(subjects)]
        life = through_signals(subject, found, draw, folder / f"life-{number}")
        outcomes += life.outcomes
        killed += sum(outcome.startswith("SIGKILL") for outcome in life.outcomes)
        if life.problem:
            failures.append(f"life {number} of seed {seed}, {subject.name}: {life.problem}")
        number += 1
    return counted("kills at random moments", outcomes, failures)


def through_signals(
    subject: Subject,
    found: Callable[[Path], str],
    draw: random.Random,
    place: Path,
    before: tuple[Before, ...] = (),
) -> Life:
    """One subject through its signals, to its end."""
    outcomes = list[str]()
    try:
        for turn in range(draw.randint(1, MOST_SIGNALS)):
            number = draw.choice([signal.SIGKILL] * 6 + [signal.SIGINT, signal.SIGTERM])
            child = subject.start(place, place / f"log-{turn}", before)
            ended = disturbed(child, number, draw.uniform(0, subject.seconds))
            if ended.code == 0:
                break
            if ended.code not in ENDS[number]:
                return Life(outcomes, f"{number.name} ended it with {ended.code}: {ended.err}")
            outcomes.append(f"{number.name} {found(place)}")
        if found(place) != ENDED:
            ended = attempt(subject, place, place / "log-end", before)
            if ended.code:
                return Life(outcomes, f"it did not go on: {ended.code}, {ended.err}")
    except TimeoutError as error:
        return Life([*outcomes, "hung"], str(error))
    return Life(outcomes, subject.difference(place))


def disturbed(child: Child, number: int, after_seconds: float) -> Ended:
    """A child that gets a signal after some time."""
    time.sleep(after_seconds)
    child.kill(number)
    return child.wait()


ENDED = "at the very end"


def found_of_run(place: Path) -> str:
    """What a kill left of a run, in words."""
    out = place / "run"
    if not out.exists():
        return "before there was a run"
    if (out / "result.json").exists():
        return ENDED
    has_state = any((out / "states").glob("state-*"))
    return "in training, a state saved" if has_state else "in training, nothing saved yet"


def found_of_store(place: Path) -> str:
    """What a kill left of a store, in words."""
    stores = place / "cache" / "stores"
    if any(stores.glob("*/store.json")) and not any(stores.glob("*.partial")):
        return ENDED
    return "in preparing" if any(stores.glob("*.partial")) else "before there was a store"
