"""The device to compute on, and the data type of its matrix products."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from alexnet.config.recipe import Precision
from alexnet.errors import UsageError


def has_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16 matrix products, and torch uses them.

    `ONEDNN_MAX_CPU_ISA=AVX2` keeps oneDNN, and so torch, from those of a CPU.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        if not any(getattr(torch.cpu, probe, lambda: False)() for probe in probes):
            return False
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def has_float64(device: torch.device) -> bool:
    """Whether the device has float64; Apple's GPUs and some of Intel's have none."""
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type != "mps"


def to_float64(x: Tensor) -> Tensor:
    """The values in float64, on the CPU if the device of `x` has none."""
    return (x if has_float64(x.device) else x.cpu()).double()


def compute_dtype(device: torch.device, precision: Precision) -> torch.dtype:
    """The data type of matrix products; for `auto` it is bf16 if the hardware supports it."""
    is_bf16 = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.bfloat16 if is_bf16 else torch.float32


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which matrix products are computed in `compute_dtype`."""
    is_bf16 = compute_dtype(device, precision) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=is_bf16)


@contextmanager
def float32_default() -> Iterator[None]:
    """A context in which new tensors are float32, whatever torch's default was and is again."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def seed_device(device: torch.device, seed: int) -> None:
    """Seed the random generator of a device, from which dropout draws.

    `torch.manual_seed` does the same for every kind of device there is, and formats a stack trace
    for each that is not in use: .2 ms a call on a CPU.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first GPU if there is one, else the CPU.

    Raises:
        UsageError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"{name} cannot compute")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} cannot be used here; try --device cpu") from error
    return device


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, of a device or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    words = ("out of memory", "DefaultCPUAllocator", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
