"""How the threads of this process wait for each other."""

from __future__ import annotations

import os

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
