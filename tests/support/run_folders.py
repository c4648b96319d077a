"""Run folders written by hand, in every state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alexnet.training.run_folder import RunFolder

RECIPE = {"name": "x", "data": "/photos/birds", "arch": "lenet5", "epochs": 4}


def write_run(
    path: Path,
    errors: tuple[float | None, ...] = (),
    split: str | None = "val",
    test: dict[str, Any] | None = None,
    recipe: dict[str, Any] = RECIPE,
) -> RunFolder:
    """A run with an error for each finished epoch, which has finished if `test` is given."""
    run = RunFolder(path)
    path.mkdir(parents=True)
    run.config.write_text(json.dumps(recipe))
    records = [{"eval_split": split, "eval_top1_error": error} for error in errors]
    run.metrics.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    if errors:
        run.model.write_bytes(b"weights")
    if test is not None:
        run.result.write_text(json.dumps({"test": test or None}))
    return run
