"""A run, or a store in preparation, killed just before each change it makes to a file or folder.

Random moments seldom fall between two consecutive writes: a checkpoint renamed but the old one not
yet removed, a line in metrics.jsonl but no checkpoint, the model written but no result. Here the
process counts its own changes and kills itself before one of them.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from stress.children import die_at_change, note_changes, plain_plots
from stress.subjects import (
    Subject,
    attempt,
    paint_images,
    prepare_undisturbed,
    recipes,
    run_undisturbed,
    train_undisturbed,
)
from stress.tally import Tally, counted

EPOCHS = 2


def stress(count: int, seed: int, folder: Path) -> Tally:
    """A random `count` of all changes that a store and at most as many short runs make."""
    paint_images(folder / "images")
    runs = recipes(folder / "images", EPOCHS)[:count]
    subjects: list[Subject] = [
        *[train_undisturbed(recipe, folder / "whole", (plain_plots,)) for recipe in runs],
        prepare_undisturbed(folder / "store"),
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
    """All changes of files and folders that a command makes, in order."""
    place.mkdir(parents=True)
    run_undisturbed(subject, place, (plain_plots, partial(note_changes, place / "notes")))
    lines = (place / "notes").read_text().splitlines()
    return [line.replace(f"{place}/", "") for line in lines]


def killed_at(subject: Subject, number: int, place: Path) -> tuple[str, str]:
    """How a command killed at one change ended when it was repeated, and what is wrong."""
    killed = attempt(subject, place, place / "log", (plain_plots, partial(die_at_change, number)))
    if killed.code >= 0:
        return "was not killed", f"it ended with {killed.code}: {killed.err}"
    again = attempt(subject, place, place / "log-again", (plain_plots,))
    if again.code == 0:
        return "ended in the same bytes", subject.difference(place)
    if again.is_one_sentence and "has finished already" in again.err:
        return "had ended", subject.difference(place)
    return "did not resume", f"{again.code}, {again.err}"
