"""The device of each process of a world."""

from __future__ import annotations

import torch

from alexnet.errors import UsageError
from alexnet.parallel.world import World


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
