"""What Linux's control groups leave to this process: the limits of a container or a service.

Sources: Documentation/admin-guide/cgroup-v2.rst (cpu.max, memory.max), and of version 1
Documentation/scheduler/sched-bwc.rst and Documentation/admin-guide/cgroup-v1/memory.rst of Linux.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
Reader: TypeAlias = Callable[[Path], float]
"""Reads the limit of a group from its folder; raises OSError or ValueError where it has none."""


@cache
def cpu_quota() -> float:
    """The limit of CPU time as a number of cores; inf without a limit."""
    return min(_limits("cpu", _read_cfs_quota, _read_cpu_max), default=math.inf)


@cache
def memory_limit() -> float:
    """The memory limit in bytes; without a limit inf, or more than the machine has."""
    limits = _limits(
        "memory",
        lambda group: float(_read(group / "memory.limit_in_bytes")),
        lambda group: int(_read(group / "memory.max")),
    )
    return min(limits, default=math.inf)


def _limits(controller: str, read_version_1: Reader, read_version_2: Reader) -> Iterator[float]:
    """The limits set on this process's control groups and on their parents."""
    try:
        lines = OWN.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, read = ROOT, read_version_2
        elif controller in controllers.split(","):
            root, read = ROOT / controller, read_version_1
        else:
            continue
        group = root / path.lstrip("/")  # not there in a container whose root is its own group
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                try:
                    yield read(folder)
                except (OSError, ValueError):  # there is no file, or it says "max"
                    continue


def _read_cpu_max(group: Path) -> float:
    quota, period = _read(group / "cpu.max").split()
    return int(quota) / int(period)


def _read_cfs_quota(group: Path) -> float:
    quota, period = (int(_read(group / f"cpu.cfs_{x}_us")) for x in ("quota", "period"))
    return quota / period if quota > 0 else math.inf


def _read(file: Path) -> str:
    return file.read_text("ascii")
