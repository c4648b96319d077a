"""Freed memory is reused instead of being mapped anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from alexnet.runtime.malloc import disable_malloc_trim

if sys.argv[1] == "kept":
    assert disable_malloc_trim()
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    np.ones(2**23)  # 64 MiB, which is 16,384 pages of 4 KiB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way: str) -> int:
    """Page faults of three arrays after the first one was freed."""
    command = [sys.executable, "-c", PROGRAM, way]
    # Pages of 4 KiB: numpy asks for larger ones where the system has them.
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_freed_memory_is_used_again() -> None:
    kept, given_back = faults("kept"), faults("given back")
    assert kept < 1000
    assert given_back > 10 * max(kept, 5)
