"""Runs that tests start, stop and compare, and reporters that watch them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from alexnet.config.recipe import Recipe
from alexnet.io.files import write_text
from alexnet.parallel.world import current_world
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import NullReporter, ProgressCallback, StepReport
from alexnet.training import loop, trainer
from alexnet.training.run_folder import RunFolder, read_metrics
from alexnet.training.state import TrainState

SetAside = Callable[..., Path]


def empty_plot(draw: object, path: Path) -> None:
    """Write an empty file instead of a plot, which takes as long to draw as the run itself."""
    write_text(path, "")


train = partial(trainer.train, save_plot=empty_plot)
resume = partial(trainer.resume, save_plot=empty_plot)


def is_same_run(folder: RunFolder, whole: RunFolder) -> bool:
    """Whether two runs have the same files with the same bytes, apart from measured times.

    `run.log` also tells of interruptions, and `report.html` of times and the machine.
    """

    def contents(path: Path) -> dict[str, bytes]:
        files = {str(p.relative_to(path)): p for p in path.rglob("*") if p.is_file()}
        measured = {"times.jsonl", "result.json", "run.log", "report.html"}
        return {name: b"" if name in measured else p.read_bytes() for name, p in files.items()}

    return contents(folder.path) == contents(whole.path)


def losses(folder: RunFolder) -> list[float]:
    """The losses of every epoch of a run, in training and in evaluation."""
    return [x for r in read_metrics(folder) for x in (r.train_loss, r.eval_loss) if x is not None]


class PowerCutError(BaseException):
    """Nothing in the package catches this."""


class Witness(NullReporter):
    """Remembers everything that is reported."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[StepReport] = []
        self.epochs: list[EpochRecord] = []
        self.times: list[EpochTimes] = []
        self.progress: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """Of each method for progress, such as `on_unpack`: (done, total)."""

    def __getattr__(self, name: str) -> ProgressCallback:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda done, total: self.progress[name].append((done, total))

    def on_prepare(self, done: int, total: int) -> None:
        self.progress["on_prepare"].append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        self.epochs.append(record)
        self.times.append(times)


class PowerCut(Witness):
    """Ends the run after a step as a power cut would."""

    def __init__(self, stop_after: int) -> None:
        super().__init__()
        self.stop_after = stop_after

    def on_step(self, report: StepReport) -> None:
        super().on_step(report)
        if report.step == self.stop_after:
            raise PowerCutError


def cut_off_all(recipe: Recipe, out: Path, stop_after: int) -> None:
    """Train in every process of a world until a power cut ends all of them after a step.

    Only the first process has a reporter, so this happens where all of them check the weights.
    """

    def stop(state: TrainState) -> None:
        if state.step == stop_after:
            raise PowerCutError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "check_weights", stop)
        with pytest.raises(PowerCutError):
            train(recipe, out=out)
        current_world().barrier()


def cut_off(recipe: Recipe, out: Path, stop_after: int, log: str = "") -> RunFolder:
    """The folder of a run that a power cut ended after a step."""
    with pytest.raises(PowerCutError):
        train(recipe, out=out, reporter=PowerCut(stop_after), log=log)
    return RunFolder(out)
