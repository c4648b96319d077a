"""The cores that this process may use."""

from __future__ import annotations

import math
import os

from alexnet.ops.control_groups import cpu_quota


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
    """The number of cores this process may run on (CPU affinity), without limits of CPU time."""
    if hasattr(os, "sched_getaffinity"):  # fewer than all where a cpuset or taskset says so
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
