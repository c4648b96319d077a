"""Which number format a device multiplies in hardware."""

from __future__ import annotations

import torch

from alexnet.config.recipe import Precision
from alexnet.errors import UsageError


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return False


def computing_type(device: torch.device, precision: Precision) -> torch.dtype:
    """The type of matrix products: bf16 where asked, or where `auto` finds hardware for it."""
    is_bf16 = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.bfloat16 if is_bf16 else torch.float32


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context whose matrix products are of the `computing_type`."""
    is_bf16 = computing_type(device, precision) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=is_bf16)


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first GPU, else the processor.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"{name} computes nothing")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} cannot be used here; try --device cpu") from error
    return device
