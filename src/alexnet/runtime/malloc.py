"""How this process gets memory from the system."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Options of glibc's `mallopt`, from its malloc.h."""


def disable_malloc_trim() -> bool:
    """Keep freed memory in this process for its next tensors.

    By default glibc maps every large block anew and returns it to the system when it is freed. The
    system then zeroes the same pages again and again, which can take half of a training step
    (docs/performance.md). The setting holds for the whole process, whose size stays at its maximum.

    Returns:
        Whether it took effect; only glibc has the option.
    """
    try:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    except (OSError, TypeError):  # Windows cannot look a function up in the whole process
        return False
    if mallopt is None:
        return False
    # Never use mmap for a block, and never trim the heap; mallopt returns 1 on success.
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
