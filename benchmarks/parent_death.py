"""Makes processes end with the one that started them, even if that is killed."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
"""The C library, loaded before a fork, after which only little is safe."""


def end_with_parent() -> None:
    """Let the system kill this process when its parent ends, so that the GPU is free again.

    Children do not inherit it: each needs it, as its `preexec_fn`. In Linux alone.
    """
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
