"""An index of the runs in a folder: what each trains, its progress and result; without torch.

Run folders of other versions and damaged ones are listed too, so only the facts that are shown are
read, one by one, and not the recipe as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from alexnet.config.serialization import parse_json
from alexnet.errors import AlexNetError, ModelFileError, UsageError
from alexnet.io.files import read_regular, size_bytes
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.io.run_paths import is_run
from alexnet.io.text import error_text, shell_command
from alexnet.models.layers import Conv
from alexnet.models.zoo import ZOO
from alexnet.training.run_folder import RunFolder, checkpoint_step

RunState: TypeAlias = Literal["finished", "running", "unfinished", "diverged", "damaged"]
"""running: a process is training it now; unfinished: it was stopped and can be resumed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """A run, as the list of runs shows it. Errors are fractions from 0 to 1."""

    path: str
    name: str
    """Name of the run folder."""
    kind: str
    """"training", or "autoencoder" or "rbm" for a pretraining."""
    state: RunState
    problem: str = ""
    """What is wrong with a damaged run, or why one diverged."""
    data: str = ""
    arch: str = ""
    epochs: int = 0
    """Finished epochs; of a pretraining, those of all layers together."""
    planned_epochs: int | None = None
    checkpoint_step: int | None = None
    """Finished steps at the newest checkpoint; None without one."""
    best_error: float | None = None
    """The lowest validation error; without validation images, the test error of the last epoch."""
    best_split: str | None = None
    """The split of `best_error`: "val" or "test"."""
    best_epoch: int | None = None
    test_error: float | None = None
    """Top-1 error of the finished run's model on the test images."""
    num_test_images: int | None = None
    changed_at: str
    """When its files last changed, in UTC, as ISO 8601."""
    size_bytes: int

    @property
    def resume_command(self) -> str:
        """The command that resumes an unfinished run."""
        verb = ["train"] if self.kind == "training" else ["pretrain", self.kind]
        return shell_command(["alexnet", *verb, "--resume", self.path])


def list_runs(folder: Path) -> list[RunSummary]:
    """The runs directly in a folder, by name; of a run folder, that run alone.

    Raises:
        UsageError: the folder does not exist or cannot be read.
    """
    if is_run(folder):
        return [summarize_run(folder)]
    try:
        children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {error.strerror}") from error
    return [summarize_run(child) for child in children if is_run(child)]


def summarize_run(path: Path) -> RunSummary:
    """Summarize a run folder; damage is part of the summary."""
    run = RunFolder(path)
    facts: dict[str, Any] = {
        "path": str(path),
        "name": path.name or path.resolve().name,
        "kind": "training",
        "changed_at": _changed_at(run),
        "size_bytes": size_bytes(path),
        "checkpoint_step": max(map(checkpoint_step, run.saved_checkpoints()), default=None),
    }
    try:
        facts |= _config_facts(_read_object(run.config))
        facts |= _progress_facts(_read_records(run.metrics))
        facts |= _result_facts(run)
    except AlexNetError as error:
        return RunSummary(**facts, state="damaged", problem=str(error))
    return RunSummary(**facts, state=_state(run), problem=_why_diverged(run))


def _config_facts(config: dict[str, Any]) -> dict[str, Any]:
    """The facts in config.json: kind, data set, architecture, and planned epochs.

    Raises:
        ModelFileError: a key is missing.
    """
    kind, data, arch, epochs = (config.get(key) for key in ("kind", "data", "arch", "epochs"))
    arch = arch.get("name") if isinstance(arch, dict) else arch  # a table of the user's own
    if not isinstance(data, str) or not isinstance(arch, str) or not isinstance(epochs, int):
        raise ModelFileError("config.json is not the recipe of a run")
    facts = {"data": data, "arch": arch, "planned_epochs": epochs}
    if isinstance(kind, str):
        num_layers = _num_pretrained_layers(arch, config.get("up_to"))
        facts |= {"kind": kind, "planned_epochs": num_layers and epochs * num_layers}
    return facts


def _num_pretrained_layers(arch: str, up_to: object) -> int | None:
    """The number of conv layers that a pretraining trains; None for an unknown architecture."""
    if arch not in ZOO:
        return None
    names = [layer.name for layer in ZOO[arch].layers if isinstance(layer, Conv)]
    return names.index(up_to) + 1 if up_to in names else len(names)


def _progress_facts(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The number of finished epochs, and the best validation or the last test error."""
    errors = {
        epoch: error
        for epoch, record in enumerate(records, 1)
        if (error := _fraction(record.get("eval_top1_error"))) is not None
    }
    facts: dict[str, Any] = {"epochs": len(records)}
    if errors:
        split = "val" if records[-1].get("eval_split") == "val" else "test"
        best = min(errors, key=errors.__getitem__) if split == "val" else max(errors)
        facts |= {"best_error": errors[best], "best_split": split, "best_epoch": best}
    return facts


def _result_facts(run: RunFolder) -> dict[str, Any]:
    """The test error of a finished run."""
    if not run.result.exists():
        return {}
    test = _read_object(run.result).get("test")
    if not isinstance(test, dict):
        return {}
    num_images = test.get("num_images")
    return {
        "test_error": _fraction(test.get("top1_error")),
        "num_test_images": num_images if isinstance(num_images, int) else None,
    }


def _fraction(value: object) -> float | None:
    """The value if it is a number from 0 to 1; else None."""
    is_fraction = isinstance(value, int | float) and 0 <= value <= 1
    return float(value) if is_fraction else None  # type: ignore[arg-type]


def _state(run: RunFolder) -> RunState:
    if run.is_locked():  # also a finished one that is about to get more epochs
        return "running"
    if run.result.exists():
        return "finished"
    return "diverged" if run.diverged.exists() else "unfinished"


def _why_diverged(run: RunFolder) -> str:
    try:
        return run.diverged.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        ModelFileError: it is missing or damaged.
    """
    try:
        plain = parse_json(read_regular(path, MAX_RESULT_BYTES))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path.name}: {error_text(error)}") from error
    if not isinstance(plain, dict):
        raise ModelFileError(f"{path.name} is not a JSON object")
    return plain


def _read_records(path: Path) -> list[dict[str, Any]]:
    """The records of metrics.jsonl; a last line that was cut off is left out.

    Raises:
        ModelFileError: another line is damaged.
    """
    try:
        text = read_regular(path, MAX_RESULT_BYTES) if path.exists() else b""
        records = [parse_json(line) for line in text.split(b"\n")[:-1]]
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path.name}: {error_text(error)}") from error
    if not all(isinstance(record, dict) for record in records):
        raise ModelFileError(f"{path.name} has a line that is not a JSON object")
    return records


def _changed_at(run: RunFolder) -> str:
    """The time at which the newest of a run's files changed, in UTC."""
    times = [
        path.stat().st_mtime
        for path in (run.path, run.config, run.metrics, run.result, run.log, run.checkpoints)
        if path.exists()
    ]
    return datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds")
