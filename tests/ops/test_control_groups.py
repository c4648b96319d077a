"""The limits of containers and services."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from alexnet.ops import control_groups
from alexnet.ops.control_groups import cpu_quota, memory_limit
from alexnet.ops.cores import num_cores, num_threads
from alexnet.runtime import workers
from support.cores import set_cores

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
    monkeypatch.setattr(control_groups, "ROOT", root)
    monkeypatch.setattr(control_groups, "OWN", tmp_path / "own")
    set_cores(monkeypatch, 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cpu_quota.__wrapped__() == quota
    monkeypatch.setattr("alexnet.ops.cores.cpu_quota", cpu_quota.__wrapped__)
    assert num_cores() == num_threads() == min(3, 3 if quota == math.inf else math.ceil(quota))


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "8589934592\n"}, 8 << 30),
        ("0::/\n", {"memory.max": "max\n"}, math.inf),
        ("0::/a/b\n", {"a/memory.max": "4294967296\n", "a/b/memory.max": "max\n"}, 4 << 30),
        ("4:memory:/x\n", {"memory/memory.limit_in_bytes": "4294967296\n"}, 4 << 30),
    ],
)
def test_a_limit_of_memory(
    own: str, files: dict[str, str], limit: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "cgroup"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(control_groups, "ROOT", root)
    monkeypatch.setattr(control_groups, "OWN", tmp_path / "own")
    assert memory_limit.__wrapped__() == limit
    monkeypatch.setattr(workers, "memory_limit", memory_limit.__wrapped__)
    monkeypatch.setattr(workers.os, "sysconf", lambda name: 1 << 20)  # 1 TiB
    assert workers.memory_bytes() == min(limit, 1 << 40)
