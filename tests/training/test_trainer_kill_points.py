"""A run that dies between any two of its writes is taken up again and ends in the same bytes.

The disk is frozen just before a chosen change of a file: that change and all later ones fail, those
of `finally` too, so that the folder is left exactly as SIGKILL would leave it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alexnet.config.recipe import Recipe
from alexnet.errors import TrainingError
from alexnet.inference.classifier import Classifier
from alexnet.training.run_folder import RunFolder, read_metrics
from stress.children import is_change
from support.runs import PowerCutError, is_same_run, resume, train
from support.slow import first_fast

pytestmark = pytest.mark.usefixtures("small_place")


class Disk:
    """Notes all changes of files, and freezes before the one with a given number."""

    def __init__(self) -> None:
        self.changes: list[str] | None = None
        self.freeze_at = 0
        self.of_small_run: list[str] = []
        sys.addaudithook(self._hear)  # cannot be taken off again; idle unless it notes

    @contextmanager
    def watched(self, freeze_at: int = 0) -> Iterator[list[str]]:
        """Within, changes are noted, from 1; those from `freeze_at` on fail where it is not 0."""
        self.changes, self.freeze_at = [], freeze_at
        try:
            yield self.changes
        finally:
            self.changes = None

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.changes is not None and is_change(event, arguments):
            names = [str(part) for part in arguments[:2] if isinstance(part, str | Path)]
            self.changes.append(" ".join([event, *names]))
            if 0 < self.freeze_at <= len(self.changes):
                raise PowerCutError(self.changes[-1])


@pytest.fixture(scope="module")
def disk() -> Disk:
    return Disk()


@pytest.fixture
def changes(small: Recipe, small_place: RunFolder, disk: Disk) -> list[str]:
    """The changes that the small run makes, in order."""
    if not disk.of_small_run:
        folder = small_place.path.with_name("noted")
        with disk.watched() as noted:
            train(small, out=folder)
        disk.of_small_run = [change.replace(f"{folder}/", "") for change in noted]
    return disk.of_small_run


def end(folder: Path) -> None:
    """Resume a run unless it has finished."""
    if not RunFolder(folder).result.exists():
        resume(folder)


POINTS = {
    "a state is written aside and has no name yet": (
        r"os.rename checkpoints/\S+ checkpoints/step-000006",
        0,
    ),
    "a new state is there and the old ones too": (r"os.remove checkpoints/step-000002", 0),
    "a line is in metrics.jsonl and none in times.jsonl": (r"open times.jsonl", 1),
    "an epoch is recorded and its best model is not saved": (r"open \.model", 0),
    "the best model is written aside and has no name yet": (r"os.rename \.model", 0),
    "the best model is saved and the state is of an earlier step": (r"os.remove \.model", 0),
    "the last state is saved and the last model not begun": (r"open \.last", 0),
    "the last model is there and the best has no scores of the test": (r"os.rename \.model", -1),
    "the model is whole and no plot is drawn": (r"os.mkdir plots", 0),
    "a plot is half there": (r"os.rename plots/\S+ plots/confusion.png", 0),
    "metrics.jsonl is written anew and has no name yet": (r"os.rename \.metrics", 0),
    "everything is there but the result": (r"os.rename \.result", 0),
    "the result is there and the states too": (r"shutil.rmtree checkpoints", 0),
}
"""What the disk holds: the change before which it freezes, and which of those that match."""


def test_the_best_epoch_of_the_small_run_is_not_its_last(small_whole: RunFolder) -> None:
    """Else nothing below would notice that the best was lost."""
    errors = [record.eval_top1_error for record in read_metrics(small_whole)]
    assert errors.index(min(errors)) < 2


@pytest.mark.parametrize("point", first_fast(POINTS, fast=3))
def test_a_run_that_dies_between_two_writes(
    small: Recipe,
    small_whole: RunFolder,
    changes: list[str],
    disk: Disk,
    tmp_path: Path,
    point: str,
) -> None:
    pattern, which = POINTS[point]
    numbers = [number for number, text in enumerate(changes, 1) if re.match(pattern, text)]
    with pytest.raises(PowerCutError), disk.watched(freeze_at=numbers[which]):
        train(small, out=tmp_path / "run")
    if point.startswith("a state is written aside"):
        kept = [path.name for path in RunFolder(tmp_path / "run").saved_checkpoints()]
        assert kept == ["step-000002.safetensors", "step-000004.safetensors"]
    if "result is there" in point:
        assert (tmp_path / "run" / "checkpoints").exists()
        with pytest.raises(TrainingError, match="has finished already"):
            resume(tmp_path / "run")
    end(tmp_path / "run")
    assert is_same_run(RunFolder(tmp_path / "run"), small_whole)


@pytest.mark.slow
@pytest.mark.parametrize("evaluation", [2, 4])
def test_a_run_that_dies_in_an_evaluation(
    small: Recipe,
    small_whole: RunFolder,
    disk: Disk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    evaluation: int,
) -> None:
    """The second is of an epoch, the fourth that of the test images by the best model."""
    original, calls = Classifier.probabilities, []

    def probabilities(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == evaluation:
            disk.freeze_at = 1
            os.mkdir(tmp_path / "frozen")  # noqa: PTH102
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "probabilities", probabilities)
        with pytest.raises(PowerCutError), disk.watched():
            train(small, out=tmp_path / "run")
    end(tmp_path / "run")
    assert is_same_run(RunFolder(tmp_path / "run"), small_whole)
    log = (tmp_path / "run" / "run.log").read_text()
    assert re.findall(r"epoch +\d+  ", log) == [], "of how many is told without a step, too"


@pytest.mark.slow
def test_a_resumed_run_that_dies_again_while_it_is_restored(
    small: Recipe, small_whole: RunFolder, changes: list[str], disk: Disk, tmp_path: Path
) -> None:
    """At every change that taking up makes, before the first step is done again."""
    middle = next(i for i, text in enumerate(changes, 1) if "step-000006" in text)
    with pytest.raises(PowerCutError), disk.watched(freeze_at=middle + 2):
        train(small, out=tmp_path / "run")
    for number in range(1, 12):
        with pytest.raises(PowerCutError), disk.watched(freeze_at=number):
            resume(tmp_path / "run")
    end(tmp_path / "run")
    assert is_same_run(RunFolder(tmp_path / "run"), small_whole)
