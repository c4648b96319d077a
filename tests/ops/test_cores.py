"""How many cores and threads a process has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def control_group(share: float) -> Iterator[Path]:
    """A group of the system that gives its processes so many cores' worth of time."""
    group = Path(f"/sys/fs/cgroup/cpu/alexnet-test-{os.getpid()}")
    limits = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": f"{100_000 * share:.0f}"}
    if not group.parent.exists():
        group = group.parent.with_name(group.name)
        limits = {"cpu.max": f"{100_000 * share:.0f} 100000"}
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        if any(not (group / name).exists() for name in limits):
            pytest.skip("control groups do not limit the time of the CPU here")
        for name, value in limits.items():
            (group / name).write_text(value)
        yield group
    finally:
        group.rmdir()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_a_command_has_no_more_threads_than_its_quota_feeds() -> None:
    code = (
        "import os, pathlib, sys; group = pathlib.Path(sys.argv[1])\n"
        "(group / 'cgroup.procs').write_text(str(os.getpid()))\n"
        "import alexnet.cli\n"
        "alexnet.cli.main(['doctor'])\n"
        "import torch; print(torch.get_num_threads())"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    with control_group(0.7) as group:
        done = subprocess.run(
            [sys.executable, "-c", code, str(group)],
            env=environment, capture_output=True, check=True, text=True,
        )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "1"
