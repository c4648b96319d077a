"""The device of each process of a world."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import distributed

from alexnet.config.recipe import Precision
from alexnet.errors import UsageError
from alexnet.parallel.world import World
from alexnet.runtime.device import choose_device, compute_dtype


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessesSupport:
    """What this machine has for several processes: backends and GPUs."""

    backends: tuple[str, ...]
    """Backends of torch.distributed: gloo exchanges tensors of CPUs, nccl those of GPUs."""
    gpus: int
    """Number of GPUs; with `--devices N` each process has a GPU of its own, or a part of the
    cores."""


def describe_support() -> ProcessesSupport:
    """Find the backends and GPUs that this machine has for several processes."""
    is_there = {
        "gloo": distributed.is_available() and distributed.is_gloo_available(),
        "nccl": distributed.is_available() and distributed.is_nccl_available(),
    }
    backends = tuple(name for name, is_one in is_there.items() if is_one)
    return ProcessesSupport(backends=backends, gpus=torch.cuda.device_count())


def device_of_rank(device: torch.device, world: World) -> torch.device:
    """The device that this process computes on: of several GPUs that of its local rank.

    Where it sees one GPU that no other process sees, that one.

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
    if world.local_size > count and not world.has_own_gpu:
        raise UsageError(
            f"this machine has {count} GPUs for {world.local_size} processes; "
            f"use --devices {count}, or --device cpu"
        )
    index = 0 if world.has_own_gpu else world.local_rank
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def device_in_world(name: str, precision: Precision, world: World) -> torch.device:
    """As `device_of_rank`, for processes that train one network together; all of them call it.

    Raises:
        UsageError: there is no such device, or not for each process; or they would compute in
            different types, and wait for ever for each other's exchanges.
    """
    device = device_of_rank(choose_device(name), world)
    dtype = str(compute_dtype(device, precision)).removeprefix("torch.")
    found = world.gather_objects((device.type, dtype))
    for rank, other in enumerate(found):
        if other != found[0]:
            types = " and ".join(f"rank {i} on {found[i][0]} in {found[i][1]}" for i in (0, rank))
            flag = "--device cpu" if other[0] != found[0][0] else "--precision float32"
            raise UsageError(f"the processes compute in different ways: {types}; use {flag}")
    return device
