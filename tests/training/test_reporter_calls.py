"""Reporters that end a run, by `StopTraining` or by an error of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.recipe import LRSchedule, Recipe
from alexnet.errors import TrainingError
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import StepReport, StopTraining
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.training.results import read_result
from alexnet.training.run_folder import RunFolder, read_metrics
from support.commands import Command
from support.runs import PowerCut, PowerCutError, Witness, is_same_run, resume, train
from support.slow import first_fast

pytestmark = pytest.mark.usefixtures("small_place")
STEPS = 4
"""Of an epoch."""


class Raiser(Witness):
    """Raises an exception after a step, or after an epoch."""

    def __init__(self, error: BaseException, *, step: int = 0, epoch: int = 0) -> None:
        super().__init__()
        self.error, self.step, self.epoch = error, step, epoch

    def on_step(self, report: StepReport) -> None:
        super().on_step(report)
        if report.step == self.step:
            raise self.error

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        super().on_epoch(record, times)
        if record.epoch == self.epoch:
            raise self.error


@pytest.mark.parametrize("at", first_fast([{"epoch": 2}, {"step": 6}, {"step": 8}]))
def test_stop_training_ends_the_run_after_the_epoch(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, at: dict[str, int]
) -> None:
    told = Raiser(StopTraining(), **at)
    run = train(small, out=tmp_path / "run", reporter=told)
    assert run.is_finished
    assert run.evaluation is not None
    assert list(run.history) == read_metrics(small_whole)[:2]
    assert told.notes.count("ended after epoch 2: by the reporter (StopTraining)") == 1
    assert "epoch 2/3" in run.folder.log.read_text()


def test_a_run_that_a_reporter_ended_resumes_to_the_same_end(small: Recipe, tmp_path: Path) -> None:
    recipe = replace(small, save_every_steps=1)
    whole = train(recipe, out=tmp_path / "whole", reporter=Raiser(StopTraining(), step=6)).folder

    class Cut(PowerCut):
        def on_step(self, report: StepReport) -> None:
            super().on_step(report)
            if report.step == 6:
                raise StopTraining

    with pytest.raises(PowerCutError):
        train(recipe, out=tmp_path / "run", reporter=Cut(8))
    assert is_same_run(resume(tmp_path / "run").folder, whole)


def test_a_run_that_a_reporter_ended_goes_on_with_more_epochs(
    small: Recipe, tmp_path: Path
) -> None:
    recipe = replace(small, keep_state=True, schedule=LRSchedule())
    longer = train(replace(recipe, epochs=4), out=tmp_path / "longer").folder
    train(recipe, out=tmp_path / "run", reporter=Raiser(StopTraining(), epoch=1))
    run = resume(tmp_path / "run", epochs=4)
    assert len(run.history) == 4
    assert run.folder.model.read_bytes() == longer.model.read_bytes()


def test_a_run_that_a_reporter_ended_goes_on_to_its_planned_end(
    small: Recipe, tmp_path: Path
) -> None:
    """With the bits of one that no reporter ended, also where the rate depends on the epochs."""
    recipe = replace(small, keep_state=True)
    whole = train(recipe, out=tmp_path / "whole").folder
    ended = train(recipe, out=tmp_path / "run", reporter=Raiser(StopTraining(), epoch=1)).folder
    assert read_result(ended).ended_early == "by the reporter (StopTraining)"
    with pytest.raises(TrainingError, match=r"after epoch 1 of 3: by the reporter .*--epochs 3 or"):
        resume(ended.path)
    resume(ended.path, epochs=3)
    assert read_result(ended).ended_early == ""
    with pytest.raises(TrainingError, match=r"finished already; .* more epochs than its 3"):
        resume(ended.path, epochs=3)
    for folder in (ended, whole):
        folder.remove_checkpoints()  # they have the times
    assert is_same_run(ended, whole)


def test_the_command_line_goes_on_if_epochs_are_given(
    small: Recipe, tmp_path: Path, command: Command
) -> None:
    recipe = replace(small, keep_state=True)
    run = train(recipe, out=tmp_path / "run", reporter=Raiser(StopTraining(), epoch=1)).folder
    refused = command("train", "--resume", str(run.path))
    assert "after epoch 1 of 3: by the reporter" in refused.err
    assert command("train", "--resume", str(run.path), "--epochs", "3").code == 0
    assert read_result(run).epochs == 3


@pytest.mark.parametrize(
    ("error", "at", "step"),
    first_fast(
        [
            (RuntimeError("disk full"), {"epoch": 2}, 8),
            (StopIteration(), {"step": 6}, 6),
            (RuntimeError("x"), {"step": 8}, 8),
            (SystemExit(1), {"epoch": 3}, 12),
        ]
    ),
)
def test_the_run_is_saved_before_an_error_of_the_reporter_is_passed_on(
    small: Recipe,
    small_whole: RunFolder,
    tmp_path: Path,
    witness: Witness,
    error: BaseException,
    at: dict[str, int],
    step: int,
) -> None:
    with pytest.raises(type(error)) as told:
        train(small, out=tmp_path / "run", reporter=Raiser(error, **at))
    assert told.value is error
    assert told.value.__notes__ == [
        f"The run is saved after step {step} of 12; resume with: alexnet.resume('{tmp_path}/run')"
    ]
    folder = resume(tmp_path / "run", reporter=witness).folder
    assert [report.step for report in witness.steps] == list(range(step + 1, 13))
    assert is_same_run(folder, small_whole)


def test_an_interrupt_in_a_reporter_saves_the_run(small: Recipe, tmp_path: Path) -> None:
    with pytest.raises(TrainingInterrupted, match=r"^stopped at once; resume from step 6 with"):
        train(small, out=tmp_path / "run", reporter=Raiser(KeyboardInterrupt(), step=6))
    assert RunFolder(tmp_path / "run").checkpoint(6).exists()


def test_the_log_has_the_epoch_and_the_error_that_ended_the_run(
    small: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        train(small, out=tmp_path / "run", reporter=Raiser(ZeroDivisionError("by 0"), epoch=1))
    epoch, end = (tmp_path / "run" / "run.log").read_text().splitlines()[-2:]
    assert "epoch 1/3" in epoch
    assert end.endswith("ZeroDivisionError: by 0")
