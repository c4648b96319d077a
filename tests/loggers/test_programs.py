"""The logs as the programs that they are for read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alexnet.config.recipe import Recipe
from alexnet.loggers import LogStart, Row
from alexnet.loggers.logger import RowKind
from alexnet.training.run_folder import RunFolder, read_metrics
from support.commands import Command
from support.runs import cut_off, resume

pytestmark = pytest.mark.filterwarnings("ignore")  # those of other programs
STEPS = list(range(1, 13))
EPOCH_ENDS = [4, 8, 12]


def tensorboard_of(log: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(log))
    found.Reload()
    return found


def test_tensorboard_has_every_step_once(tmp_path: Path) -> None:
    from alexnet.loggers.tensorboard_logger import TensorBoardLogger

    def session(step: int, values: list[float]) -> None:
        last_steps: dict[RowKind, int] = {"step": step, "epoch": 0}
        start = LogStart(run="a", settings={"lr": 0.1}, recipe="{}", last_steps=last_steps)
        logger = TensorBoardLogger(tmp_path, start)
        for number, value in enumerate(values, step + 1):
            logger.log_rows([Row(kind="step", step=number, values={"loss": value})])
        logger.log_rows([Row(kind="epoch", step=2, values={"loss": value})])
        logger.close(is_finished=False)

    session(0, [1.0, 2.0, 9.0])
    with next(tmp_path.iterdir()).open("ab") as file:
        file.write(b"\x20\0\0")  # a record that was cut off
    session(2, [3.0, 4.0])
    found = tensorboard_of(tmp_path)
    steps = [(s.step, s.value) for s in found.Scalars("step/loss")]
    assert steps == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert [(s.step, s.value) for s in found.Scalars("epoch/loss")] == [(2, 4.0)]
    assert found.Tensors("recipe/text_summary")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_tensorboard_has_the_result(own: RunFolder, command: Command) -> None:
    assert "logs/tensorboard" in command("log", own.path).out
    log = own.path / "logs" / "tensorboard"
    found = tensorboard_of(log)
    assert [s.value for s in found.Scalars("epoch/train_loss")] == pytest.approx(
        [record.train_loss for record in read_metrics(own)]
    )
    assert {"plots/learning_curves", "plots/confusion"} <= set(found.Tags()["images"])
    recipe = found.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"batch_size": 8' in recipe
    assert str(own.path.parent) not in recipe, "no folder of this machine"
    assert found.SummaryMetadata("_hparams_/experiment").plugin_data.plugin_name == "hparams"
    assert found.Scalars("result/test_top1_error")[0].step == 12
    again = command("log", own.path)
    assert again.code == 2
    assert "--replace" in again.err
    assert command("log", own.path, "--replace", "--to", "tensorboard,csv").code == 0
    assert len(list(log.iterdir())) == 1
    assert len((own.path / "logs" / "csv" / "epochs.csv").read_text().splitlines()) == 4


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_has_every_step_once(
    small: Recipe,
    small_whole: RunFolder,
    small_place: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = small_place.path
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (path.parent / "store").as_uri())
    monkeypatch.setenv("WANDB_MODE", "offline")
    cut_off(small, path, 6, log="tensorboard,mlflow,wandb,csv")
    steps = path / "logs" / "csv" / "steps.csv"
    assert [line.split(",")[0] for line in steps.read_text().splitlines()[1:]] == list("123456")
    resume(path)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (path / name).read_bytes() == (small_whole.path / name).read_bytes()
    assert [int(row.split(",")[0]) for row in steps.read_text().splitlines()[1:]] == STEPS
    board = tensorboard_of(path / "logs" / "tensorboard")
    assert [s.step for s in board.Scalars("step/loss")] == STEPS
    assert [s.step for s in board.Scalars("epoch/val_loss")] == EPOCH_ENDS
    check_mlflow(path)
    assert [h["_step"] for h in wandb_history(path) if "step/loss" in h] == STEPS
    assert [h["_step"] for h in wandb_history(path) if "epoch/val_loss" in h] == EPOCH_ENDS


def check_mlflow(path: Path) -> None:
    from mlflow.tracking import MlflowClient

    known = json.loads((path / "logs" / "mlflow" / "run.json").read_text())
    client = MlflowClient(known["tracking_uri"])
    history = client.get_metric_history(known["run_id"], "step/loss")
    assert [metric.step for metric in history] == STEPS
    run = client.get_run(known["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["batch_size"] == "8"
    assert "result/test_top1_error" in run.data.metrics
    assert {a.path for a in client.list_artifacts(known["run_id"])} == {"plots", "recipe.json"}


def wandb_history(path: Path) -> Iterator[dict[str, Any]]:
    """The rows in all offline files of a run, in the order of its sessions."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # its process writes what is left
    for file in sorted((path / "logs" / "wandb").glob("wandb/offline-run-*/*.wandb")):
        for content in records(file.read_bytes()):
            items = Record.FromString(content).history.item
            if items:
                yield {i.key or i.nested_key[0]: json.loads(i.value_json) for i in items}


def records(data: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, after the 7 bytes of wandb's header."""
    block, place, parts = 32768, 7, b""
    while place + 7 <= len(data):
        if block - place % block < 7:
            place += block - place % block
            continue
        size, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        parts += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):
            yield parts
            parts = b""
