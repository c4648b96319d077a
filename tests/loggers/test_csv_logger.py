"""The tables of steps and epochs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alexnet.loggers import LogResult, LogStart, Row
from alexnet.loggers.csv_logger import CsvLogger

START = LogStart(run="a-001", settings={}, recipe="{}", last_steps={"step": 0, "epoch": 0})


def step(number: int, loss: float = 0.5) -> Row:
    return Row(kind="step", step=number, values={"loss": loss, "lr": 0.1})


def test_a_resumed_log_replaces_the_steps_that_follow(tmp_path: Path) -> None:
    first = CsvLogger(tmp_path, START)
    first.log_rows([step(1), Row(kind="epoch", step=1, values={"train_loss": 2.0}), step(2, 7.0)])
    first.log_result(LogResult(step=2, metrics={"test_top1_error": 0.25}, figures=()))
    steps = tmp_path / "steps.csv"
    steps.write_text(steps.read_text() + "3,0.2")  # of a write that was cut off
    resumed = CsvLogger(tmp_path, replace(START, last_steps={"step": 1, "epoch": 1}))
    assert not (tmp_path / "result.csv").exists()
    resumed.log_rows([step(2, 0.25)])
    assert steps.read_text() == "step,loss,lr\n1,0.5,0.1\n2,0.25,0.1\n"
    assert (tmp_path / "epochs.csv").read_text() == "step,train_loss\n1,2.0\n"


def test_columns_stay_those_of_the_first_row(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path, START)
    logger.log_rows([Row(kind="epoch", step=4, values={"a": 1.0, "b": 2.0})])
    logger.log_rows([Row(kind="epoch", step=8, values={"b": 3.0, "c": 4.0})])
    assert (tmp_path / "epochs.csv").read_text() == "step,a,b\n4,1.0,2.0\n8,,3.0\n"
