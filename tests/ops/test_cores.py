"""How many cores and threads a process has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from alexnet.ops.cores import num_cores, num_threads
from support.cores import set_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken here")
def test_cores_that_were_taken_from_a_process_are_not_counted() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from alexnet.ops.cores import num_cores; from alexnet.serve.limits import Limits\n"
        "print(num_cores(), Limits().num_decoders)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "1 1\n"


@pytest.mark.parametrize(("wanted", "threads"), [("", 3), ("5", 5), ("4,2", 4), ("0", 3)])
def test_the_environment_says_how_many_threads(
    wanted: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cores(monkeypatch, 3)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert (num_cores(), num_threads()) == (3, threads)
