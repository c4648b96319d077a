"""Disks that are full at one write after another, while preparing and while training.

Three ways: the system refuses every new file from some change on; no file may grow beyond a limit;
and, where this process may mount one, a file system of so many bytes. Each command is to end well
or with one sentence, nothing half written is to be taken for whole, and once there is room the same
command ends in the same bytes.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from torture.children import Before, Ended, full_from_change, limit_file_size, plain_plots
from torture.kill_points import changes_of
from torture.subjects import (
    Subject,
    attempt,
    draw_pictures,
    prepared_in_peace,
    recipes,
    trained_in_peace,
)
from torture.tally import Tally, counted

PAGE_BYTES = 4096
"""What a small file system hands out at a time; the least limit, so that messages find room."""
ROOM_BYTES = 64 << 20
"""Enough for everything here."""

Case: TypeAlias = Callable[[Subject, int, Path], tuple[str, str]]
"""Takes what is tortured, a limit and a folder; gives how it ended, and what is wrong."""


def torture(count: int, seed: int, folder: Path) -> Tally:
    """Full from each of at most `count` changes on, and a third as many limits of both other kinds.

    All of it once in training and once in preparing.
    """
    draw_pictures(folder / "pictures")
    recipe = recipes(folder / "pictures", epochs=2)[1]
    subjects: tuple[Subject, ...] = (
        trained_in_peace(recipe, folder / "whole", (plain_plots,)),
        prepared_in_peace(folder / "store"),
    )
    outcomes, failures = list[str](), list[str]()
    for subject in subjects:
        draw = random.Random(seed)
        for kind, limits, case in kinds(subject, folder, count, draw):
            outcomes += [] if limits else [f"{kind}: skipped, nothing may be mounted here"]
            for limit in limits:
                place = folder / f"{kind.replace(' ', '-')}-{subject.name}-{limit}"
                outcome, problem = tried(case, subject, limit, place)
                outcomes.append(f"{kind}: {outcome}")
                if problem:
                    failures.append(f"{kind} {limit}, {subject.name}: {problem}")
    return counted("full disks", outcomes, failures)


def kinds(
    subject: Subject, folder: Path, count: int, draw: random.Random
) -> list[tuple[str, list[int], Case]]:
    """Every kind of full disk: its name, the limits to try (none where it cannot be), and how."""
    changes = range(1, len(changes_of(subject, folder / f"noted-{subject.name}")) + 1)
    largest, total = subject.num_bytes()
    few = max(1, count // 3)
    disks = spread(2 * total, few, draw) if can_mount(folder / "probe") else []
    return [
        ("no new file", sorted(draw.sample(changes, min(count, len(changes)))), from_change),
        ("small files", spread(largest, few, draw), with_small_files),
        ("small disk", disks, on_small_disk),
    ]


def spread(most_bytes: int, count: int, draw: random.Random) -> list[int]:
    """`count` sizes from a page to a little more than enough, one at random in each equal part."""
    step = most_bytes * 1.1 / count
    return [PAGE_BYTES + int((number + draw.random()) * step) for number in range(count)]


def tried(case: Case, subject: Subject, limit: int, place: Path) -> tuple[str, str]:
    """One case; a hanging child is one of its ends."""
    place.mkdir()
    try:
        return case(subject, limit, place)
    except TimeoutError as error:
        return "hung", str(error)


def from_change(subject: Subject, number: int, place: Path) -> tuple[str, str]:
    """From one change on, nothing new can be written."""
    return limited(subject, place, partial(full_from_change, number))


def with_small_files(subject: Subject, size_bytes: int, place: Path) -> tuple[str, str]:
    """No file can be longer than a limit."""
    return limited(subject, place, partial(limit_file_size, size_bytes))


def limited(subject: Subject, place: Path, limit: Before) -> tuple[str, str]:
    """A command under a limit, then without."""
    first = attempt(subject, place, place / "log", (plain_plots, limit))
    return in_the_end(subject, first, place, place)


def on_small_disk(subject: Subject, size_bytes: int, place: Path) -> tuple[str, str]:
    """A command on a small file system, then on the same one with room."""
    with mounted(place / "disk", size_bytes) as disk:
        first = attempt(subject, disk, place / "log", (plain_plots,))
        _mount(disk, ROOM_BYTES, "remount,")
        return in_the_end(subject, first, disk, place)


def in_the_end(subject: Subject, first: Ended, work: Path, place: Path) -> tuple[str, str]:
    """How the first try ended; and what is wrong once the command was given again with room."""
    if first.code == 0:
        return "had room", subject.difference(work)
    if not first.is_one_sentence or "Traceback" in first.err:
        return "crashed", f"{first.code}, {first.err}"
    again = attempt(subject, work, place / "log-again", (plain_plots,))
    if again.code and not (again.is_one_sentence and "has ended already" in again.err):
        return "did not go on", f"{again.code}, {again.err}; at first {first.err}"
    return "one sentence, then the same bytes", subject.difference(work)


@contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system in memory, of so many bytes, unmounted in the end."""
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
        with mounted(folder, ROOM_BYTES):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
