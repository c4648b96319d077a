"""Full disks at one write after another, while preparing and while training.

Three kinds: every write fails from some change on; no file may grow beyond a limit; and, if this
process may mount one, a file system of limited size. Each command must succeed or fail with one
sentence, no partial file may be read as complete, and once there is space the same command must end
in the same bytes.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from stress.children import Ended, Setup, full_from_change, limit_file_size, plain_plots
from stress.kill_points import changes_of
from stress.subjects import (
    Subject,
    attempt,
    paint_images,
    prepare_undisturbed,
    recipes,
    train_undisturbed,
)
from stress.tally import Tally, counted

PAGE_BYTES = 4096
"""Block size of a small file system; the smallest limit, so that messages can be written."""
ENOUGH_BYTES = 64 << 20
"""Enough space for every case."""

Case: TypeAlias = Callable[[Subject, int, Path], tuple[str, str]]
"""From a subject, a limit and a folder to the outcome, and to what is wrong or ""."""


def stress(count: int, seed: int, folder: Path) -> Tally:
    """Disks full from at most `count` changes on, and a third as many cases of both other kinds.

    Each is tried once in training and once in preparing.
    """
    paint_images(folder / "images")
    recipe = recipes(folder / "images", epochs=2)[1]
    subjects: tuple[Subject, ...] = (
        train_undisturbed(recipe, folder / "whole", (plain_plots,)),
        prepare_undisturbed(folder / "store"),
    )
    outcomes, failures = list[str](), list[str]()
    for subject in subjects:
        rng = random.Random(seed)
        for kind, limits, case in kinds(subject, folder, count, rng):
            outcomes += [] if limits else [f"{kind}: skipped, this process may not mount"]
            for limit in limits:
                place = folder / f"{kind.replace(' ', '-')}-{subject.name}-{limit}"
                outcome, problem = tried(case, subject, limit, place)
                outcomes.append(f"{kind}: {outcome}")
                if problem:
                    failures.append(f"{kind} {limit}, {subject.name}: {problem}")
    return counted("full disks", outcomes, failures)


def kinds(
    subject: Subject, folder: Path, count: int, rng: random.Random
) -> list[tuple[str, list[int], Case]]:
    """Every kind of full disk: name, limits to try (none if impossible here), and case."""
    changes = range(1, len(changes_of(subject, folder / f"noted-{subject.name}")) + 1)
    largest, total = subject.num_bytes()
    few = max(1, count // 3)
    disks = sample_sizes(2 * total, few, rng) if can_mount(folder / "probe") else []
    return [
        ("no new file", sorted(rng.sample(changes, min(count, len(changes)))), from_change),
        ("small files", sample_sizes(largest, few, rng), with_small_files),
        ("small disk", disks, on_small_disk),
    ]


def sample_sizes(max_bytes: int, count: int, rng: random.Random) -> list[int]:
    """`count` random sizes, one in each of `count` equal intervals up to more than enough."""
    step = max_bytes * 1.1 / count
    return [PAGE_BYTES + int((number + rng.random()) * step) for number in range(count)]


def tried(case: Case, subject: Subject, limit: int, place: Path) -> tuple[str, str]:
    """One case; a child that hangs is one possible outcome."""
    place.mkdir()
    try:
        return case(subject, limit, place)
    except TimeoutError as error:
        return "hung", str(error)


def from_change(subject: Subject, number: int, place: Path) -> tuple[str, str]:
    """Nothing can be written from one change on."""
    return limited(subject, place, partial(full_from_change, number))


def with_small_files(subject: Subject, size_bytes: int, place: Path) -> tuple[str, str]:
    """No file can be larger than a limit."""
    return limited(subject, place, partial(limit_file_size, size_bytes))


def limited(subject: Subject, place: Path, limit: Setup) -> tuple[str, str]:
    """A command under a limit, then without."""
    first = attempt(subject, place, place / "log", (plain_plots, limit))
    return outcome_of(subject, first, place, place)


def on_small_disk(subject: Subject, size_bytes: int, place: Path) -> tuple[str, str]:
    """A command on a small file system, then on the same one with enough space."""
    with mounted(place / "disk", size_bytes) as disk:
        first = attempt(subject, disk, place / "log", (plain_plots,))
        _mount(disk, ENOUGH_BYTES, "remount,")
        return outcome_of(subject, first, disk, place)


def outcome_of(subject: Subject, first: Ended, work: Path, place: Path) -> tuple[str, str]:
    """How the first try ended, and what is wrong after a second one with enough space."""
    if first.code == 0:
        return "had enough space", subject.difference(work)
    if not first.is_one_sentence or "Traceback" in first.err:
        return "crashed", f"{first.code}, {first.err}"
    again = attempt(subject, work, place / "log-again", (plain_plots,))
    if again.code and not (again.is_one_sentence and "has finished already" in again.err):
        return "did not resume", f"{again.code}, {again.err}; at first {first.err}"
    return "one sentence, then the same bytes", subject.difference(work)


@contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system in memory of limited size."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount(folder, size_bytes)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(folder: Path, size_bytes: int, how: str = "") -> None:
    words = ["mount", "-t", "tmpfs", "-o", f"{how}size={size_bytes}", "tmpfs", str(folder)]
    subprocess.run(words, check=True, capture_output=True)


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a file system."""
    try:
        with mounted(folder, ENOUGH_BYTES):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
