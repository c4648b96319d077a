"""The real torchrun: a worker is killed, and the run goes on by itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from alexnet.config.recipe import Recipe
from support.torchrun import (
    MANY_EPOCHS,
    children,
    wait_for_epochs,
    wait_until_resumed,
    write_job,
)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_torchrun_starts_again_and_goes_on(small: Recipe, tmp_path: Path) -> None:
    job = write_job(small, tmp_path / "job", MANY_EPOCHS)
    flags = ("--standalone", "--nproc-per-node", "2", "--max-restarts", "1")
    with job.start(job.words(*flags), "log") as torchrun:
        wait_for_epochs(job, 2)
        workers = children(torchrun.pid)
        assert len(workers) == 2
        os.kill(workers[1], signal.SIGKILL)
        wait_until_resumed(job)
        torchrun.terminate()
        torchrun.wait()
    log = (job.place / "log").read_text()
    assert log.count(f"rank 1 (process {workers[1]} on") == 1
    assert log.count("which is saved; resume with: alexnet train --resume run") == 1
