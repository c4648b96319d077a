"""The cores that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def num_threads() -> int:
    """Threads that a process of this user has: `$OMP_NUM_THREADS`, or one for every core."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return num_cores()


def num_cores() -> int:
    """Cores that this process may use, at least 1.

    Those of a cpuset or of taskset; fewer where a container or a service has a quota of their time
    (`docker run --cpus`, a limit of Kubernetes, systemd's `CPUQuota=`), rounded up.
    """
    return max(1, math.ceil(min(available_cores(), cpu_quota())))


def available_cores() -> int:
    """Cores on which the system runs this process, whatever their time is limited to."""
    if hasattr(os, "sched_getaffinity"):  # fewer than all where a cpuset or taskset says so
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def cpu_quota() -> float:
    """CPU time per time that Linux's control groups leave to this process; inf without a limit.

    Source: Documentation/admin-guide/cgroup-v2.rst (cpu.max) and
    Documentation/scheduler/sched-bwc.rst (version 1) of Linux.
    """
    return min(_quotas(), default=math.inf)


def _quotas() -> Iterator[float]:
    """The limits of this process's groups and of those that they are in."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            root, read = CONTROL_GROUPS, _read_cpu_max
        elif "cpu" in controllers.split(","):
            root, read = CONTROL_GROUPS / "cpu", _read_cfs_quota
        else:
            continue
        group = root / path.lstrip("/")  # not there in a container whose root is its own group
        quotas = (read(one) for one in (group, *group.parents) if one.is_relative_to(root))
        yield from (quota for quota in quotas if quota is not None)


def _read_cpu_max(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # there is none, or it is "max"
        return None


def _read_cfs_quota(group: Path) -> float | None:
    try:
        quota, period = (int((group / f"cpu.cfs_{x}_us").read_text()) for x in ("quota", "period"))
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None
