"""Processes that connect with others, or do not; started ones find this module by its name."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import redirect_stderr
from pathlib import Path

from alexnet.parallel import connect
from support.processes import torchrun_environment


def stop_before_connecting(rank: int, port: int, log: Path) -> None:
    """A process that is stopped before it says hello; that of rank 0 has opened its store."""
    os.environ.update(torchrun_environment(rank, 2, port))
    if rank == 0:
        store = connect._store(60.0, is_here=True)
        assert store
    log.write_text("stopped")
    os.kill(os.getpid(), signal.SIGSTOP)


def train_alone(rank: int, port: int, log: Path) -> None:
    """A command in a process that waits for the others for a second; what it says is in `log`."""
    from alexnet.cli import main

    os.environ.update(torchrun_environment(rank, 2, port))
    connect.CONNECT_SECONDS, connect.LOOK_SECONDS = 1.0, 1.0
    with log.open("w") as sys.__stderr__, redirect_stderr(sys.__stderr__):
        code = main(["train"])
    sys.exit(code)
