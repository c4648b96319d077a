"""Set how many threads OpenMP uses in this process, and how they wait for each other."""

from __future__ import annotations

import os

from alexnet.ops.cores import available_cores, num_cores

SPIN_COUNT = 10_000
"""How often a waiting thread checks a lock before it sleeps; GNU's default is 300,000."""


def limit_openmp_spinning() -> bool:
    """Let waiting threads sleep early; call this before torch is imported.

    By default a thread of GNU's OpenMP spins for milliseconds while it waits. If another program
    uses one of the cores, the spinning threads then take the time of the thread that they wait for
    (docs/performance.md).

    Returns:
        Whether it was set; a setting of the user is kept.
    """
    if os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        return False
    os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
    return True


def limit_openmp_threads() -> bool:
    """Limit the threads to the container's quota of CPU time; call this before torch is imported.

    torch starts a thread per core. In a container with a quota of two cores on a machine of 64, its
    64 threads would use up the quota at once, and would then all be stopped.

    Returns:
        Whether it was set; a setting of the user is kept.
    """
    if "OMP_NUM_THREADS" in os.environ or num_cores() == available_cores():
        return False
    os.environ["OMP_NUM_THREADS"] = str(num_cores())
    return True
