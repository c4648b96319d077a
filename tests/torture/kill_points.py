"""A run killed just before each single change that it makes to a file or folder, one after another.

Random moments seldom fall between two writes that follow each other at once: a state renamed and
the old one not yet removed, a line in metrics.jsonl and no state, the model written and no result.
Here the process counts its own changes and dies at one of them. A store likewise.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from torture.children import die_at_change, note_changes, plain_plots
from torture.subjects import (
    Subject,
    attempt,
    draw_pictures,
    in_peace,
    prepared_in_peace,
    recipes,
    trained_in_peace,
)
from torture.tally import Tally, counted

EPOCHS = 2


def torture(count: int, seed: int, folder: Path) -> Tally:
    """At most `count` of all changes that short runs and a store make, drawn by `seed`."""
    draw_pictures(folder / "pictures")
    runs = recipes(folder / "pictures", EPOCHS)
    subjects: list[Subject] = [
        *[trained_in_peace(recipe, folder / "whole", (plain_plots,)) for recipe in runs],
        prepared_in_peace(folder / "store"),
    ]
    points = [
        (subject, number, text)
        for subject in subjects
        for number, text in enumerate(changes_of(subject, folder / f"noted-{subject.name}"), 1)
    ]
    chosen = sorted(random.Random(seed).sample(range(len(points)), min(count, len(points))))
    outcomes, failures = list[str](), list[str]()
    for index in chosen:
        subject, number, text = points[index]
        try:
            outcome, problem = killed_at(subject, number, folder / f"point-{index}")
        except TimeoutError as error:
            outcome, problem = "hung", str(error)
        outcomes.append(f"{outcome}, {'preparing' if subject is subjects[-1] else 'training'}")
        if problem:
            failures.append(f"{subject.name}, before change {number} ({text}): {problem}")
    return counted("a kill before each change of a file", outcomes, failures)


def changes_of(subject: Subject, place: Path) -> list[str]:
    """Every change of a file or folder that a command makes, in order."""
    place.mkdir(parents=True)
    in_peace(subject, place, (plain_plots, partial(note_changes, place / "notes")))
    lines = (place / "notes").read_text().splitlines()
    return [line.replace(f"{place}/", "") for line in lines]


def killed_at(subject: Subject, number: int, place: Path) -> tuple[str, str]:
    """How a command that dies at one change ended when it was given again, and what is wrong."""
    killed = attempt(subject, place, place / "log", (plain_plots, partial(die_at_change, number)))
    if killed.code >= 0:
        return "was not killed", f"it ended with {killed.code}: {killed.err}"
    again = attempt(subject, place, place / "log-again", (plain_plots,))
    if again.code == 0:
        return "ended in the same bytes", subject.difference(place)
    if again.is_one_sentence and "has ended already" in again.err:
        return "had ended", subject.difference(place)
    return "did not go on", f"{again.code}, {again.err}"
