"""Log runs to MLflow's tracking store at $MLFLOW_TRACKING_URI, else at MLflow's default.

MLflow cannot replace the values of a step. A resumed run repeats the steps after its last
checkpoint bit for bit, so steps that MLflow has already are left out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from mlflow import get_tracking_uri
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from alexnet.config.serialization import json_text, parse_json
from alexnet.errors import DataError
from alexnet.io.files import read_regular, write_text
from alexnet.loggers.logger import KINDS, LogResult, LogStart, Row

EXPERIMENT = "alexnet"
"""Name of the experiment, unless $MLFLOW_EXPERIMENT_NAME is set."""
LOCAL = ("sqlite:", "file:")
"""Schemes of tracking URIs that hold no password, so that they can be written to `run.json`."""
MAX_METRICS, MAX_PARAMS = 1000, 100
"""Most metrics and most parameters in one request."""
MAX_VALUE_LENGTH = 500
"""Length to which a parameter's text is cut, the limit of old servers."""
MAX_FILE_BYTES = 10_000


class MLflowLogger:
    """A logger to a run of an experiment, whose id is kept in `run.json`."""

    def __init__(self, folder: Path, start: LogStart) -> None:
        path = folder / "run.json"
        known = cast("dict[str, Any]", parse_json(_read(path))) if path.exists() else {}
        address = known.get("tracking_uri") or get_tracking_uri()
        self._client = MlflowClient(tracking_uri=address)
        if known:
            self._id = str(known["run_id"])
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = _new_run(self._client, start.run)
            kept = {"run_id": self._id, "tracking_uri": address if _is_local(address) else ""}
            write_text(path, json_text(kept) + "\n")
        self._last = {kind: self._last_step(f"{kind}/epoch") for kind in KINDS}
        self._log_settings(self._client.get_run(self._id), start.settings)
        self._client.log_text(self._id, start.recipe, "recipe.json")

    def _last_step(self, name: str) -> int:
        """The last step with a metric of this name; 0 if there is none."""
        return max((m.step for m in self._client.get_metric_history(self._id, name)), default=0)

    def _log_settings(self, run: Run, settings: Mapping[str, object]) -> None:
        """Write new parameters once; those that a resumed run has changed become tags."""
        texts = {name: str(value)[:MAX_VALUE_LENGTH] for name, value in settings.items()}
        known = run.data.params
        new = iter([Param(name, text) for name, text in texts.items() if name not in known])
        while part := list(islice(new, MAX_PARAMS)):
            self._client.log_batch(self._id, params=part)
        for name, text in texts.items():
            if known.get(name, text) != text:
                self._client.set_tag(self._id, f"resumed.{name}", text)

    def log_rows(self, rows: Sequence[Row]) -> None:
        """Add a metric for every value, such as epoch/train_loss, over the steps."""
        now = int(1000 * time.time())
        metrics = iter(
            [
                Metric(name, value, now, row.step)
                for row in rows
                if row.step > self._last[row.kind]
                for name, value in row.tagged.items()
            ]
        )
        while part := list(islice(metrics, MAX_METRICS)):
            self._client.log_batch(self._id, metrics=part)

    def log_result(self, result: LogResult) -> None:
        """Add the final metrics, and the figures as artifacts."""
        now = int(1000 * time.time())
        metrics = [Metric(f"result/{k}", v, now, result.step) for k, v in result.metrics.items()]
        self._client.log_batch(self._id, metrics=metrics)
        for path in result.figures:
            self._client.log_artifact(self._id, str(path), "plots")

    def close(self, *, is_finished: bool) -> None:
        """Mark the run as finished, or as stopped."""
        self._client.set_terminated(self._id, "FINISHED" if is_finished else "KILLED")


def _new_run(client: MlflowClient, name: str) -> str:
    """Create a run, and its experiment if that does not exist; return the run's id."""
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "") or EXPERIMENT
    found = client.get_experiment_by_name(experiment)
    try:
        place = found.experiment_id if found else client.create_experiment(experiment)
    except MlflowException:  # another run has created it in the meantime
        found = client.get_experiment_by_name(experiment)
        if not found:
            raise
        place = found.experiment_id
    return str(client.create_run(place, run_name=name).info.run_id)


def _is_local(address: str) -> bool:
    return address.startswith(LOCAL)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
