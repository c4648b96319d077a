"""Runs that tests begin, stop and compare, and who watches them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from alexnet.config.recipe import Recipe
from alexnet.io.files import write_text
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import NullReporter, StepReport
from alexnet.training.run_folder import RunFolder
from alexnet.training.trainer import train

SetAside = Callable[..., Path]


def empty_plot(figure: object, path: Path) -> None:
    """Writes a plot in the same way as ever, empty."""
    write_text(path, "")


def is_same_run(folder: RunFolder, whole: RunFolder) -> bool:
    """Whether two runs ended in the same files with the same bytes, but for what is measured."""

    def contents(path: Path) -> dict[str, bytes]:
        files = {str(p.relative_to(path)): p for p in path.rglob("*") if p.is_file()}
        measured = {"times.jsonl", "result.json"}
        return {name: b"" if name in measured else p.read_bytes() for name, p in files.items()}

    return contents(folder.path) == contents(whole.path)


class PowerCutError(BaseException):
    """Nothing in the program catches this."""


class Witness(NullReporter):
    """Remembers all that it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[StepReport] = []
        self.epochs: list[EpochRecord] = []
        self.times: list[EpochTimes] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        self.epochs.append(record)
        self.times.append(times)


class PowerCut(Witness):
    """Stops the run after a step as a power cut would."""

    def __init__(self, stop_after: int) -> None:
        super().__init__()
        self.stop_after = stop_after

    def on_step(self, report: StepReport) -> None:
        super().on_step(report)
        if report.step == self.stop_after:
            raise PowerCutError


def cut_off(recipe: Recipe, out: Path, stop_after: int) -> RunFolder:
    """The folder of a run that was stopped after a step."""
    with pytest.raises(PowerCutError):
        train(recipe, out=out, reporter=PowerCut(stop_after))
    return RunFolder(out)
