"""How many cores and threads a process has."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alexnet.ops import cores
from alexnet.ops.cores import cpu_quota, num_cores, num_threads
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


V1 = "12:pids:/x\n4:cpu,cpuacct:/docker/ab\n3:cpuset:/\n"


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # in a container
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {}, math.inf),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "200000 100000\n"}, 2),
        (V1, {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        (V1, {"cpu.max": "100000 100000\n"}, math.inf),  # the cores are not version 2's here
        ("0::/../up\n", {"cpu.max": "100000 100000\n"}, 1),  # a namespace entered from above
        (None, {"cpu.max": "100000 100000\n"}, math.inf),
    ],
)
def test_a_quota_of_time(
    own: str | None,
    files: dict[str, str],
    quota: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "cgroup"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if own is not None:
        (tmp_path / "own").write_text(own)
    monkeypatch.setattr(cores, "CONTROL_GROUPS", root)
    monkeypatch.setattr(cores, "OWN_GROUPS", tmp_path / "own")
    set_cores(monkeypatch, 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cpu_quota.__wrapped__() == quota
    monkeypatch.setattr(cores, "cpu_quota", cpu_quota.__wrapped__)
    assert num_cores() == num_threads() == min(3, 3 if quota == math.inf else math.ceil(quota))


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
