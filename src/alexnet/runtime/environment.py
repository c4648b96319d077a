"""The versions and the hardware on which a result depends, besides the recipe."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch

from alexnet.ops.library import describe_kernels
from alexnet.runtime.cpu import cpu_name
from alexnet.runtime.device import NumberType, has_bf16, number_type


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """Versions and hardware of a run."""

    alexnet: str
    python: str
    torch: str
    numpy: str
    pillow: str
    system: str
    device_name: str
    """Model of the GPU or CPU."""
    cores: int
    threads: int
    """Threads that torch uses in an operation; with another number the last bits differ."""
    kernels: str
    """Compiler and instruction set of the C kernels; "torch" if there are none."""
    device: str
    """torch's name of the device: cpu, cuda:0."""
    has_bf16: bool
    """Whether the device has instructions for bf16 matrix products."""
    processes: int = 1
    """Number of processes that train together."""
    auto_precision: NumberType | None = None
    """Type of `--precision auto` on the device; None if read from a file without it."""


def describe_environment(device: torch.device, processes: int = 1) -> Environment:
    """The environment of this process, one of `processes` that train together, each on `device`."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    return Environment(
        alexnet=installed_version("alexnet"),
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=installed_version("numpy"),
        pillow=installed_version("pillow"),
        system=platform.platform(),
        device_name=name,
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        kernels=describe_kernels(),
        device=str(device),
        has_bf16=has_bf16(device),
        processes=processes,
        auto_precision=number_type(device, "auto"),
    )


def installed_version(package: str) -> str:
    """The version of an installed package, or "not installed"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
