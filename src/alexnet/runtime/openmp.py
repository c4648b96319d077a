"""How this process's threads wait for each other."""

from __future__ import annotations

import os

SPINS = 10_000
"""Looks at a lock before a waiting thread sleeps; 300,000 where nobody says otherwise."""


def limit_openmp_spinning() -> bool:
    """Let a thread that has waited a moment for another give up its core; call before torch loads.

    GNU's OpenMP lets it spin for milliseconds. Where another program holds one of the cores, the
    thread that all wait for is then kept from running by those that wait for it
    (docs/performance.md).

    Returns:
        Whether it was set: what the user has said of it stays.
    """
    if os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        return False
    os.environ["GOMP_SPINCOUNT"] = str(SPINS)
    return True
