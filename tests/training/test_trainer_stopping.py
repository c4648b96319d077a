"""Signals: the first ends the step, saves and says how to resume; the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.inference.classifier import Classifier
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import StepReport
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.training.run_folder import RunFolder
from support.commands import Command
from support.runs import Witness, empty_plot, is_same_run, resume, train
from support.slow import first_fast

pytestmark = pytest.mark.usefixtures("small_place")
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def send(number: int) -> None:
    """A signal to this process; its handler runs before this returns."""
    os.kill(os.getpid(), number)


class Signaller(Witness):
    """Sends a signal, so many times, during a step."""

    def __init__(self, at_step: int, number: int, times: int = 1) -> None:
        super().__init__()
        self.at_step, self.number, self.left = at_step, number, times

    def on_step(self, report: StepReport) -> None:
        super().on_step(report)
        while report.step == self.at_step and self.left:
            self.left -= 1
            send(self.number)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("at_step", first_fast([4, 1, 6, 12]))
def test_the_running_step_is_finished_and_saved(
    small: Recipe,
    small_whole: RunFolder,
    tmp_path: Path,
    witness: Witness,
    at_step: int,
    number: int,
) -> None:
    """Step 4 ends an epoch and step 12 the training."""
    before = [signal.getsignal(n) for n in SIGNALS]
    with pytest.raises(TrainingInterrupted) as told:
        train(small, out=tmp_path / "run", reporter=Signaller(at_step, number))
    assert [signal.getsignal(n) for n in SIGNALS] == before
    assert told.value.signal_number == number
    assert str(told.value) == (
        f"stopped after step {at_step} of 12, which is saved; "
        f"resume with: alexnet train --resume {tmp_path}/run"
    )
    folder = resume(tmp_path / "run", reporter=witness).folder
    assert [report.step for report in witness.steps] == list(range(at_step + 1, 13))
    assert is_same_run(folder, small_whole)


@pytest.mark.parametrize(
    ("method", "evaluation"),
    first_fast([("probabilities", 1), ("probabilities", 3), ("probabilities", 4), ("logits", 1)]),
)
def test_an_interrupted_evaluation_is_repeated(
    small: Recipe,
    small_whole: RunFolder,
    tmp_path: Path,
    witness: Witness,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    evaluation: int,
) -> None:
    """The first, the last of training, the final one on the test images; and the calibration."""
    original, calls = getattr(Classifier, method), []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == evaluation:
            send(signal.SIGTERM)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, method, interrupted)
        with pytest.raises(TrainingInterrupted):
            train(small, out=tmp_path / "run")
    assert len(calls) == evaluation
    folder = resume(tmp_path / "run", reporter=witness).folder
    steps_done = 4 if (method, evaluation) == ("probabilities", 1) else 12
    assert [report.step for report in witness.steps] == list(range(steps_done + 1, 13))
    assert is_same_run(folder, small_whole)


@pytest.mark.slow
def test_a_second_interrupt_ends_at_once(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    signaller = Signaller(5, signal.SIGINT, times=2)
    with pytest.raises(
        TrainingInterrupted, match="stopped at once; resume from step 4 with: alexnet train"
    ):
        train(small, out=tmp_path / "run", reporter=signaller)
    folder = RunFolder(tmp_path / "run")
    assert [path.name for path in folder.saved_checkpoints()][-1] == "step-000004.safetensors"
    assert is_same_run(resume(folder.path).folder, small_whole)


@pytest.mark.slow
def test_a_run_can_be_stopped_again_and_again(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    with pytest.raises(TrainingInterrupted):
        train(small, out=tmp_path / "run", reporter=Signaller(1, signal.SIGTERM))
    for step in range(2, 13):
        with pytest.raises(TrainingInterrupted, match=f"after step {step} of 12"):
            resume(tmp_path / "run", reporter=Signaller(step, SIGNALS[step % 2]))
    assert is_same_run(resume(tmp_path / "run").folder, small_whole)


@pytest.mark.slow
def test_a_signal_after_the_last_evaluation_lets_the_run_end(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    def save_and_signal(draw: object, path: Path) -> None:
        if path.name == "learning_curves.png":
            send(signal.SIGTERM)
        empty_plot(draw, path)

    run = train(small, out=tmp_path / "run", save_plot=save_and_signal)
    assert is_same_run(run.folder, small_whole)


# handlers


@pytest.mark.slow
def test_another_thread_trains_without_handlers(
    small: Recipe, small_whole: RunFolder, tmp_path: Path
) -> None:
    seen = []

    class Looker(Witness):
        def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
            seen.append([signal.getsignal(n) for n in SIGNALS])

    before = [signal.getsignal(n) for n in SIGNALS]
    arguments = {"out": tmp_path / "run", "reporter": Looker()}
    thread = threading.Thread(target=train, args=(small,), kwargs=arguments)
    thread.start()
    thread.join()
    assert seen == [before] * 3
    assert is_same_run(RunFolder(tmp_path / "run"), small_whole)


# the command


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize(
    ("number", "code"), first_fast([(signal.SIGINT, 130), (signal.SIGTERM, 143)])
)
def test_the_command_says_how_to_resume(
    command: Command,
    small: Recipe,
    small_whole: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    signaller = Signaller(5, number)
    monkeypatch.setattr(
        "alexnet.progress.ProgressReporter.on_step",
        lambda self, report: signaller.on_step(report),
    )
    (tmp_path / "small.json").write_text(to_json(small))
    told = command("train", "--config", tmp_path / "small.json", "--out", tmp_path / "run")
    assert (told.code, told.out) == (code, "")
    resume_command = f"alexnet train --resume {tmp_path}/run"
    said = f"alexnet: stopped after step 5 of 12, which is saved; resume with: {resume_command}"
    assert told.err.splitlines()[-1] == said
    told = command(*resume_command.split()[1:])
    assert told.code == 0
    assert is_same_run(RunFolder(tmp_path / "run"), small_whole)
