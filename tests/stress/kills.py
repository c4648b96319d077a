"""Training and preparing, killed by SIGKILL at random moments until they finish.

A killed command is repeated, as a user would; in the end every file must equal, byte for byte, that
of an undisturbed run. Some get SIGINT or SIGTERM instead.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stress.children import Child, Ended, Setup
from stress.subjects import (
    Subject,
    attempt,
    paint_images,
    prepare_undisturbed,
    recipes,
    train_undisturbed,
)
from stress.tally import Tally, counted

EPOCHS = 5
MAX_SIGNALS = 4
"""Signals at most in one trial."""
ENDS = {signal.SIGKILL: (-9,), signal.SIGINT: (130, -2), signal.SIGTERM: (143, -15)}
"""Exit codes allowed after a signal: stopped with a checkpoint, or ended before there was a run."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A command from start to end, with some signals in between."""

    outcomes: list[str]
    """One for every signal that arrived in time."""
    problem: str = ""
    """What is wrong in the end; "" if nothing."""


def stress(count: int, seed: int, folder: Path) -> Tally:
    """`count` SIGKILLs; every fourth trial prepares a store, the others train."""
    rng, outcomes, failures = random.Random(seed), list[str](), list[str]()
    paint_images(folder / "images")
    runs = recipes(folder / "images", EPOCHS)

    @cache
    def subject_of(kind: int) -> tuple[Subject, Callable[[Path], str]]:
        """The store, or one of the runs, made when its kind is due."""
        if kind == 0:
            return prepare_undisturbed(folder / "store"), state_of_store
        return train_undisturbed(runs[kind - 1], folder / "whole"), state_of_run

    killed = number = 0
    while killed < count:
        subject, found = subject_of(number % (1 + len(runs)))
        trial = run_through_signals(subject, found, rng, folder / f"trial-{number}")
        outcomes += trial.outcomes
        killed += sum(outcome.startswith("SIGKILL") for outcome in trial.outcomes)
        if trial.problem:
            failures.append(f"trial {number} of seed {seed}, {subject.name}: {trial.problem}")
        number += 1
    return counted("kills at random moments", outcomes, failures)


def run_through_signals(
    subject: Subject,
    found: Callable[[Path], str],
    rng: random.Random,
    place: Path,
    setup: tuple[Setup, ...] = (),
) -> Trial:
    """Run one subject to its end, with signals."""
    outcomes = list[str]()
    try:
        for turn in range(rng.randint(1, MAX_SIGNALS)):
            number = rng.choice([signal.SIGKILL] * 6 + [signal.SIGINT, signal.SIGTERM])
            child = subject.start(place, place / f"log-{turn}", setup)
            ended = wait_after_signal(child, number, rng.uniform(0, subject.seconds))
            if ended.code == 0:
                break
            if ended.code not in ENDS[number]:
                return Trial(outcomes, f"{number.name} ended it with {ended.code}: {ended.err}")
            outcomes.append(f"{number.name} {found(place)}")
            if found(place) == ENDED:  # the signal arrived after the last write
                break
        if found(place) != ENDED:
            ended = attempt(subject, place, place / "log-end", setup)
            if ended.code:
                return Trial(outcomes, f"it did not resume: {ended.code}, {ended.err}")
    except TimeoutError as error:
        return Trial([*outcomes, "hung"], str(error))
    return Trial(outcomes, subject.difference(place))


def wait_after_signal(child: Child, number: int, after_seconds: float) -> Ended:
    """Send a child a signal after some time, and wait for its end."""
    time.sleep(after_seconds)
    child.kill(number)
    return child.wait()


ENDED = "at the very end"


def state_of_run(place: Path) -> str:
    """What is left of a killed run, in words."""
    out = place / "run"
    if not out.exists():
        return "before there was a run"
    if (out / "result.json").exists():
        return ENDED
    has_state = any((out / "checkpoints").glob("step-*"))
    return "in training, a checkpoint saved" if has_state else "in training, nothing saved yet"


def state_of_store(place: Path) -> str:
    """What is left of a killed preparation, in words."""
    stores = place / "cache" / "stores"
    if any(stores.glob("*/store.json")) and not any(stores.glob("*.partial")):
        return ENDED
    return "in preparing" if any(stores.glob("*.partial")) else "before there was a store"
