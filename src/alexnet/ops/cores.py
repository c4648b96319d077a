"""The cores that this process may use."""

from __future__ import annotations

import os


def num_threads() -> int:
    """Threads that a process of this user has: `$OMP_NUM_THREADS`, or one for every core."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return num_cores()


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # fewer than all where a cpuset or taskset says so
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
