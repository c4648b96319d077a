"""Loggers beside a training: one that fails or hangs neither ends nor slows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alexnet.errors import UnknownNameError, UsageError
from alexnet.loggers import log_thread, run_loggers
from alexnet.loggers.catalogue import LoggerKind, read_names
from alexnet.loggers.logger import LogResult, LogStart, Row
from alexnet.loggers.run_loggers import RunLoggers, logs_to_write
from alexnet.reporter import StepReport
from support.runs import Witness

START = LogStart(run="a-001", settings={}, recipe="{}", last_steps={"step": 0, "epoch": 0})
RESULT = LogResult(step=9, metrics={}, figures=())


def report(step: int) -> StepReport:
    return StepReport(
        step=step,
        total_steps=9,
        epoch=1,
        total_epochs=1,
        loss=2.5,
        top1_error=0.75,
        num_images=8,
        step_loss=2.0,
        lr=0.01,
    )


class Recorder:
    """Remembers its rows; raises `error` at a step; waits for `gate` at every step."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.ends: list[object] = []
        self.error: Exception | None = None
        self.gate, self.closing = threading.Event(), threading.Event()
        self.gate.set()
        self.closing.set()

    def log_rows(self, rows: list[Row]) -> None:
        assert self.gate.wait(10)
        self.steps += [row.step for row in rows]
        if self.error:
            raise self.error

    def log_result(self, result: LogResult) -> None:
        self.ends.append(result)

    def close(self, *, is_finished: bool) -> None:
        assert self.closing.wait(5)
        self.ends.append(is_finished)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    made = Recorder()
    monkeypatch.setattr(run_loggers, "open_logger", lambda *_: made)
    yield made
    made.gate.set()
    made.closing.set()


def test_a_finished_run_and_a_stopped_one(
    recorder: Recorder, tmp_path: Path, witness: Witness
) -> None:
    with RunLoggers(["csv"], tmp_path, START, witness) as loggers:
        loggers.on_step(report(1))
        loggers.on_result(RESULT)
    assert (recorder.steps, recorder.ends) == ([1], [RESULT, True])
    with RunLoggers(["csv"], tmp_path, START, witness) as loggers:
        loggers.on_step(report(2))
    assert (recorder.steps, recorder.ends[2:]) == ([1, 2], [False])
    assert [step.step for step in witness.steps] == [1, 2]
    assert witness.notes == []


def test_a_failure_is_told_once(recorder: Recorder, tmp_path: Path, witness: Witness) -> None:
    recorder.error = OSError(28, "No space left on device")
    with RunLoggers(["csv"], tmp_path, START, witness) as loggers:
        loggers.on_step(report(1))
        while not witness.notes:
            time.sleep(0.001)
            loggers.on_step(report(2))
        loggers.on_step(report(3))
        loggers.on_result(RESULT)
    assert len(witness.notes) == 1
    assert "log for csv" in witness.notes[0]
    assert ": No space left on device; the training goes on" in witness.notes[0]
    assert recorder.ends == [False]  # so that a file is closed, and a run on a server ended


def test_a_failed_logger_that_hangs_as_it_is_closed_does_not_delay_the_end(
    recorder: Recorder, tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_thread, "FAILED_SECONDS", 0.01)
    recorder.error = ConnectionError("connection lost")
    recorder.closing.clear()
    start = time.monotonic()
    with RunLoggers(["csv"], tmp_path, START, witness) as loggers:
        loggers.on_step(report(1))
    assert time.monotonic() - start < 3
    assert [": connection lost; the training" in note for note in witness.notes] == [True]


@pytest.mark.parametrize("waiting", [3, 1000])
def test_a_server_that_does_not_answer_costs_no_time(
    recorder: Recorder,
    tmp_path: Path,
    witness: Witness,
    monkeypatch: pytest.MonkeyPatch,
    waiting: int,
) -> None:
    monkeypatch.setattr(log_thread, "MAX_WAITING_ROWS", waiting)
    monkeypatch.setattr(log_thread, "CLOSE_SECONDS", 0.01)
    recorder.gate.clear()
    with RunLoggers(["csv"], tmp_path, START, witness) as loggers:
        for step in range(1, 9):
            loggers.on_step(report(step))
    assert len(witness.notes) == 1
    reason = "slower than the training" if waiting == 3 else "has not answered for 0.01 s"
    assert reason in witness.notes[0]


def test_names_are_known_and_their_packages_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_names("csv, csv") == read_names(["csv"]) == ("csv",)
    assert read_names("") == ()
    with pytest.raises(UnknownNameError, match="did you mean"):
        read_names("tensorbord")
    kind = LoggerKind(module="x", cls="x", packages=("no_such_package",))
    monkeypatch.setitem(run_loggers.LOGGERS, "wandb", kind)
    with pytest.raises(UsageError, match=r'needs the package no_such_package.*alexnet\[wandb\]"'):
        read_names("csv,wandb")


def test_a_resumed_run_goes_on_with_its_logs(
    tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("csv", "wandb"):
        (tmp_path / "logs" / name).mkdir(parents=True)
    kind = LoggerKind(module="x", cls="x", packages=("no_such_package",))
    monkeypatch.setitem(run_loggers.LOGGERS, "wandb", kind)
    assert logs_to_write(["tensorboard"], tmp_path, witness) == ["tensorboard", "csv"]
    assert len(witness.notes) == 1
    assert "the log for wandb is not continued" in witness.notes[0]
