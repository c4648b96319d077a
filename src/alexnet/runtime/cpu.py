"""The CPU of this machine, and whether there may be a GPU, found without torch."""

from __future__ import annotations

import os
import platform
from pathlib import Path

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Of the drivers of NVIDIA (Linux, WSL) and AMD."""


def may_have_gpu() -> bool:
    """Whether there is a GPU that torch may use: False only on Linux without a driver for one."""
    return platform.system() != "Linux" or any(map(os.path.exists, GPU_FILES))


def cpu_name() -> str:
    """The model of the CPU, as Linux calls it; elsewhere as the system does."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
