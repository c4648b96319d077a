"""How this process gets memory from the system."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Options of glibc's `mallopt`, from its malloc.h."""


def disable_malloc_trim() -> bool:
    """Let this process keep the memory that it frees, for its next tensors.

    glibc takes every large block fresh from the system and gives it back when it is freed; a
    training step then spends up to half of its time on the system zeroing the same pages again
    (docs/performance.md). Applies to the whole process; its size stays that of its largest moment.

    Returns:
        Whether it took effect: only glibc has the option.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # No block is mapped on its own, and nothing freed is given back; 1 says that it took effect.
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
