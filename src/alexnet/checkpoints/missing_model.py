"""Messages that say what a folder without a model is, such as an unfinished run, and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from alexnet.config.serialization import parse_json
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.io.locks import is_held
from alexnet.io.run_paths import is_run
from alexnet.io.text import shell_command

MODEL = "model.safetensors"
MAX_NAMED_RUNS = 3
CHECKPOINT = re.compile(r"step-(\d+)\.safetensors")


def no_model_text(folder: Path) -> str:
    """Why a folder has no model, and how to get one, as a message."""
    return known_folder_text(folder) or (
        f"{folder} is a folder without a model ({MODEL}); name a model file or a run folder"
    )


def known_folder_text(folder: Path) -> str:
    """`no_model_text` of a folder that this program wrote; "" for any other folder."""
    if (folder / "tuning.json").exists():
        winner = folder / "winner.json"
        train = shell_command(["alexnet", "train", "--config", str(winner)])
        hint = f"train its winner: {train}" if winner.exists() else "its trials are in trials/"
        return f"{folder} is the folder of a tuning, not a run; {hint}"
    if (folder / "plan.json").exists() and (folder / "runs").is_dir():
        return f"{folder} is the folder of an experiment; name one of the runs in {folder / 'runs'}"
    if is_run(folder):
        return _run_text(folder)
    try:
        runs = sorted(str(child) for child in folder.iterdir() if is_run(child))
    except OSError:
        runs = []
    if not runs:
        return ""
    names = ", ".join([*runs[:MAX_NAMED_RUNS], *[".."] * (len(runs) > MAX_NAMED_RUNS)])
    return f"{folder} is a folder of runs, not a model; name one of them: {names}"


def _run_text(run: Path) -> str:
    """How far a run is, and the commands that give it a model; "" without a valid config.json."""
    config = _read_object(run / "config.json")
    epochs, kind = config.get("epochs"), config.get("kind")
    if not isinstance(epochs, int):
        return ""
    if isinstance(kind, str):
        resume = shell_command(["alexnet", "pretrain", kind, "--resume", str(run)])
        return f"{run} is a pretraining without a finished layer; resume it with: {resume}"
    if (run / "result.json").exists():
        again = shell_command(["alexnet", "train", "--config", str(run / "config.json")])
        return f"{run} is a finished run whose model ({MODEL}) was removed; train it again: {again}"
    done = f"{_num_lines(run / 'metrics.jsonl')} of {epochs} epochs"
    if is_held(run / ".lock"):
        return f"{run} is being trained and has no model yet, after {done}; wait for it, or stop it"
    if (run / "diverged.txt").exists():
        again = shell_command(["alexnet", "train", "--config", str(run / "config.json")])
        return f"{run} diverged after {done} and has no model; try again with: {again} --lr LOWER"
    resume = shell_command(["alexnet", "train", "--resume", str(run)])
    text = f"{run} is an unfinished run, after {done}, and has no model yet; "
    names = (path.name for path in run.glob("checkpoints/step-*"))
    steps = [int(found[1]) for name in names if (found := CHECKPOINT.fullmatch(name))]
    if not steps:
        return f"{text}no checkpoint was saved, so resuming starts from the first step: {resume}"
    text += f"resume it after step {max(steps):,}: {resume}"
    return f"{text}; or stop now with a model of its weights: {resume} --max-minutes 0.01"


def _read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if the file holds none or cannot be read."""
    try:
        plain = parse_json(read_regular(path, MAX_RESULT_BYTES))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _num_lines(path: Path) -> int:
    """The number of complete lines of a file; in metrics.jsonl, of finished epochs."""
    try:
        return read_regular(path, MAX_RESULT_BYTES).count(b"\n")
    except OSError:
        return 0
