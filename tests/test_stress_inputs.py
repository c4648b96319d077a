"""A few cases of the harnesses that damage input files; `make stress` runs all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stress import files, images
from stress.workers import Worker
from support.slow import first_fast


@pytest.mark.slow
def test_mutated_images(tmp_path: Path) -> None:
    tally = images.stress(150, 20, tmp_path)
    assert tally.failures == ()
    assert tally.tried == 150
    assert tally.outcomes["read, as Pillow reads it"] > 20


@pytest.mark.slow
def test_mutated_files(tmp_path: Path) -> None:
    tally = files.stress(20, 20, tmp_path)
    assert tally.failures == ()
    assert tally.tried == 20
    assert tally.outcomes["rejected in one sentence"] > 8


@pytest.mark.parametrize(
    ("case", "outcome", "failure"),
    first_fast(
        [
            (2, "died", "the process died: SIGSEGV"),
            (5, "escaped", "open ("),
            (0, "fine", ""),
            (1, "hung", "no answer within 0.5 s"),
            (3, "died", "the process died: exit 7"),
            (4, "out of memory", "MemoryError"),
            (6, "escaped", "os.mkdir ("),
            (7, "escaped", "subprocess.Popen ("),
        ],
        fast=2,
    ),
)
def test_a_harness_notices_what_is_forbidden(
    worker: Worker, case: int, outcome: str, failure: str
) -> None:
    """And runs the next case."""
    ending = worker.ask(case, 0.5 if case == 1 else 20.0)
    assert ending.outcome == outcome
    assert ending.failure.startswith(failure)
    assert worker.ask(0, 20.0).outcome == "fine"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    made = Worker("stress.misbehaving", 0, tmp_path_factory.mktemp("worker"), 200 << 20)
    yield made
    made.end()
