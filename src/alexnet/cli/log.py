"""`alexnet log`: write the log of a run for TensorBoard, MLflow, Weights & Biases, or as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from alexnet.cli.console import print_json
from alexnet.cli.flags import parse, with_run
from alexnet.cli.outputs.log import LogOutput
from alexnet.errors import UsageError, require
from alexnet.io.text import printable


@dataclass(frozen=True, kw_only=True)
class LogFlags:
    """Write the log of runs for other programs, from the files of each run.

    It has the values of every finished epoch, the plots, the recipe and the final metrics. `alexnet
    train --log` logs while a run is trained, and the single steps, too.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ..")] = ()
    """Run folders, finished or not."""
    to: Annotated[str, tyro.conf.arg(metavar="NAMES")] = "tensorboard"
    """tensorboard, mlflow, wandb, csv, joined by commas."""
    replace: bool = False
    """Write a log anew that is there already."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Write the logs and print their folders."""
    flags = parse(LogFlags, arguments, "log")
    require(bool(flags.runs), "name a run folder, such as those in alexnet runs", UsageError)
    runs = [Path(run) for run in with_run(flags, "runs").runs]
    from alexnet.training.written_logs import log_run

    logs = [log for run in runs for log in log_run(run, flags.to, replace=flags.replace)]
    if flags.json:
        print_json(LogOutput(logs=tuple(map(str, logs))))
    else:
        print("\n".join(printable(str(log)) for log in logs))
    return 0
