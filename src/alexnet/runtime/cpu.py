"""The CPU and the GPUs of this machine, found without torch."""

from __future__ import annotations

import os
import platform
from pathlib import Path

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Device files of the drivers of NVIDIA (Linux, WSL) and AMD."""
NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")
"""Folder of NVIDIA's driver on Linux, with a subfolder for each GPU."""


def may_have_gpu() -> bool:
    """Whether there is a GPU that torch may use: False only on Linux without a driver for one."""
    return platform.system() != "Linux" or any(map(os.path.exists, GPU_FILES))


def gpu_names() -> tuple[str, ...]:
    """`$CUDA_VISIBLE_DEVICES` and the models of NVIDIA's GPUs, which determine the GPU torch uses.

    Models are found on Linux alone.
    """
    files = sorted(NVIDIA_GPUS.glob("*/information"))
    texts = [file.read_text("utf-8", errors="replace") for file in files]
    lines = (line.partition(":") for text in texts for line in text.splitlines())
    models = (value.strip() for name, _, value in lines if name == "Model")
    return (os.environ.get("CUDA_VISIBLE_DEVICES", "all"), *models)


def cpu_name() -> str:
    """The name of the CPU's model, from /proc/cpuinfo, else from Python's `platform`."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
