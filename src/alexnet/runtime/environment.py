"""What a result depends on beside the recipe: versions, processor, device."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from alexnet.ops.library import describe_kernels
from alexnet.runtime.device import has_bf16


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """Versions and machine of a run."""

    alexnet: str
    python: str
    torch: str
    numpy: str
    pillow: str
    system: str
    processor: str
    cores: int
    threads: int
    """Threads of a torch operation; another count gives other bits."""
    kernels: str
    """The compiler of the processor's own kernels, or "torch" where there is none."""
    device: str
    has_bf16: bool
    """Whether the device multiplies bf16 in hardware."""


def describe_environment(device: torch.device) -> Environment:
    """The environment of this process on `device`."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return Environment(
        alexnet=installed("alexnet"),
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=installed("numpy"),
        pillow=installed("pillow"),
        system=platform.platform(),
        processor=name,
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        kernels=describe_kernels(),
        device=str(device),
        has_bf16=has_bf16(device),
    )


def installed(package: str) -> str:
    """The version of an installed package, or "not installed"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
