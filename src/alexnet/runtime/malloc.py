"""Set how this process gets memory from the system."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
"""Options of glibc's `mallopt`, from its malloc.h."""
MAX_MMAP_THRESHOLD = 32 << 20
"""Largest value of M_MMAP_THRESHOLD that glibc accepts."""


def disable_malloc_trim() -> bool:
    """Keep freed memory in this process for its next tensors.

    By default glibc maps every large block anew and returns it to the system when it is freed. The
    system then zeroes the same pages again and again, which can take half of a training step
    (docs/performance.md). The setting holds for the whole process, whose size stays at its maximum.

    Returns:
        Whether it took effect; only glibc has the option.
    """
    # Never use mmap for a block, and never trim the heap.
    return _set_options({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1})


def keep_freed_memory() -> bool:
    """Keep freed blocks of up to 32 MB, and 64 MB in all, in this process for its next images.

    Unlike `disable_malloc_trim`, it gives the memory of an unusually large image back.

    Returns:
        Whether it took effect; only glibc has the options.
    """
    return _set_options(
        {M_MMAP_THRESHOLD: MAX_MMAP_THRESHOLD, M_TRIM_THRESHOLD: 2 * MAX_MMAP_THRESHOLD}
    )


def _set_options(values: Mapping[int, int]) -> bool:
    try:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    except (OSError, TypeError):  # Windows cannot look a function up in the whole process
        return False
    if mallopt is None:
        return False
    return all(mallopt(option, value) == 1 for option, value in values.items())


def release_freed_memory() -> None:
    """Give freed memory back to the system, where the C library can."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
