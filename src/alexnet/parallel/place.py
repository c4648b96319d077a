"""Each process's place on its machine, which not every launcher sets, or sets correctly.

torchrun sets LOCAL_RANK and LOCAL_WORLD_SIZE. Where processes have RANK and WORLD_SIZE alone, or
all of a machine have the same LOCAL_RANK (`torchrun --virtual-local-rank`), they compare the names
of their machines. Else those decide nothing: two machines may share a name (`localhost`). A
launcher may also let each see one GPU (`srun --gpus-per-task=1`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from alexnet.parallel.watch import this_host
from alexnet.parallel.world import World


@dataclass(frozen=True, slots=True)
class Place:
    """A process's place, as it is sent to the others."""

    host: str
    local: tuple[int, int] | None
    """LOCAL_RANK and LOCAL_WORLD_SIZE, if the launcher has set both."""
    gpu: str
    """The UUID of the GPU that the process sees; "" unless it sees exactly one."""


def placed(world: World) -> World:
    """The world with the process's place on its host, found by one exchange; all processes call it.

    The environment is then as torchrun would have set it.
    """
    found = place_in(world, world.gather_objects(own_place()))
    os.environ["LOCAL_RANK"] = str(found.local_rank)
    os.environ["LOCAL_WORLD_SIZE"] = str(found.local_size)
    return found


def own_place() -> Place:
    """The place of this process."""
    names = ("LOCAL_RANK", "LOCAL_WORLD_SIZE")
    local = [int(os.environ[name]) for name in names if name in os.environ]
    return Place(this_host(), (local[0], local[1]) if len(local) == 2 else None, only_gpu())


def only_gpu() -> str:
    """The UUID of the only GPU that this process sees; "" if it sees none, or several."""
    if torch.cuda.device_count() != 1:
        return ""
    try:
        return str(torch.cuda.get_device_properties(0).uuid)
    except (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError):
        return ""


def place_in(world: World, places: Sequence[Place]) -> World:
    """The world with this process's place, from the places of all processes.

    Args:
        world: of this process.
        places: of all processes, in the order of the ranks.
    """
    own = places[world.rank]
    here = [rank for rank, place in enumerate(places) if place.host == own.host]
    given = [places[rank].local for rank in here]
    is_virtual = len(here) > 1 and len({local[0] for local in given if local}) == 1
    if own.local is None or None in given or is_virtual:
        local_rank, local_size = here.index(world.rank), len(here)
    else:
        local_rank, local_size = own.local
    has_own_gpu = own.gpu != "" and [place.gpu for place in places].count(own.gpu) == 1
    return replace(world, local_rank=local_rank, local_size=local_size, has_own_gpu=has_own_gpu)
