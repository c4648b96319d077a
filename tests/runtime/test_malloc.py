"""Freed memory is reused instead of being mapped anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from alexnet.runtime import malloc

way, size = sys.argv[1], int(sys.argv[2]) // 8
if way:
    assert getattr(malloc, way)()
np.ones(size)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    np.ones(size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way: str, num_bytes: int) -> int:
    """Page faults of three arrays after the first one was freed, in pages of 4 KiB."""
    command = [sys.executable, "-c", PROGRAM, way, str(num_bytes)]
    # Pages of 4 KiB: numpy asks for larger ones where the system has them.
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
@pytest.mark.parametrize(
    ("way", "num_bytes"), [("disable_malloc_trim", 64 << 20), ("keep_freed_memory", 16 << 20)]
)
def test_freed_memory_is_used_again(way: str, num_bytes: int) -> None:
    kept, given_back = faults(way, num_bytes), faults("", num_bytes)
    assert kept < 1000
    assert given_back > 10 * max(kept, 5)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_the_memory_of_a_large_image_is_given_back() -> None:
    for_ever = faults("disable_malloc_trim", 64 << 20)
    assert faults("keep_freed_memory", 64 << 20) > 10 * max(for_ever, 5)
