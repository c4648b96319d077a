"""The device of each process of a world."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import distributed

from alexnet.errors import UsageError
from alexnet.parallel.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessesSupport:
    """What there is on this machine for several processes."""

    backends: tuple[str, ...]
    """Of torch.distributed: gloo exchanges tensors of CPUs, nccl those of GPUs."""
    gpus: int
    """Number of GPUs; a process of `--devices N` has one of its own, or a part of the cores."""


def describe_support() -> ProcessesSupport:
    """What there is on this machine for several processes."""
    is_there = {
        "gloo": distributed.is_available() and distributed.is_gloo_available(),
        "nccl": distributed.is_available() and distributed.is_nccl_available(),
    }
    backends = tuple(name for name, is_one in is_there.items() if is_one)
    return ProcessesSupport(backends=backends, gpus=torch.cuda.device_count())


def device_of_rank(device: torch.device, world: World) -> torch.device:
    """The device that this process computes on: of several GPUs that of its local rank.

    Raises:
        UsageError: there are fewer GPUs than processes on this host, or one GPU is named for all.
    """
    if world.size == 1 or device.type == "cpu":
        return device
    if device.type != "cuda" or device.index is not None:
        raise UsageError(
            f"{world.size} processes cannot share the device {device}; "
            "leave out --device, so that each gets a GPU of its own, or use --device cpu"
        )
    count = torch.cuda.device_count()
    if world.local_size > count:
        raise UsageError(
            f"this machine has {count} GPUs for {world.local_size} processes; "
            f"use --devices {count}, or --device cpu"
        )
    torch.cuda.set_device(world.local_rank)
    return torch.device("cuda", world.local_rank)
