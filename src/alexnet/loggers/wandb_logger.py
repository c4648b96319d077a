"""Log runs to Weights & Biases, offline if nobody is logged in.

wandb cannot replace the values of a step. A resumed run repeats the steps after its last checkpoint
bit for bit, so steps that were logged already are left out; the last ones are kept in the files
`last_step` and `last_epoch`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import wandb

from alexnet.io.files import write_text
from alexnet.loggers.logger import KINDS, LogResult, LogStart, Row, RowKind

PROJECT = "alexnet"
"""Name of the project, unless $WANDB_PROJECT is set."""


class WandbLogger:
    """A logger to a run of a project, whose id is kept in the file `run_id`."""

    def __init__(self, folder: Path, start: LogStart) -> None:
        self._paths: dict[RowKind, Path] = {kind: folder / f"last_{kind}" for kind in KINDS}
        self._last = {kind: _number(path) for kind, path in self._paths.items()}
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "") or PROJECT,
            name=start.run,
            id=_run_id(folder / "run_id"),
            dir=str(folder),
            mode="offline" if is_offline() else None,
            resume="allow",
            config=dict(start.settings),
            allow_val_change=True,
            settings=wandb.Settings(
                silent=True, console="off", save_code=False, disable_git=True, x_disable_meta=True
            ),
        )

    def log_rows(self, rows: Sequence[Row]) -> None:
        """Add every value, such as epoch/train_loss, over the steps."""
        for row in rows:
            if row.step > self._last[row.kind]:
                self._paths[row.kind].write_text(str(row.step), encoding="utf-8")
                self._run.log(row.tagged, step=row.step)

    def log_result(self, result: LogResult) -> None:
        """Add the final metrics to the summary, and the figures."""
        self._run.summary.update(dict(result.metrics))
        figures = {f"plots/{path.stem}": wandb.Image(str(path)) for path in result.figures}
        self._run.log(figures, step=result.step)

    def close(self, *, is_finished: bool) -> None:
        """Write, or upload, what is left."""
        self._run.finish(exit_code=0 if is_finished else 1)


def _number(path: Path) -> int:
    """The number in a file; 0 without one."""
    text = path.read_text("utf-8") if path.exists() else ""
    return int(text) if text.isdecimal() else 0


def is_offline() -> bool:
    """Whether runs are offline, because nobody is logged in and $WANDB_MODE is not set."""
    if os.environ.get("WANDB_MODE"):
        return False
    with suppress(Exception):
        return not wandb.api.api_key
    return True


def _run_id(path: Path) -> str:
    """The id in a file; if there is no file, a new id, which is written to it."""
    if not path.exists():
        write_text(path, uuid.uuid4().hex[:8] + "\n")
    return path.read_text("utf-8").strip()
