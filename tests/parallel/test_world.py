"""What connected processes exchange, and that a process alone needs none of it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from alexnet.parallel.world import World, current_world, join_world
from support.processes import Processes


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(8, 4, [2, 2, 2, 2]), (7, 3, [3, 2, 2]), (1, 2, [1, 0])]
)
def test_every_row_belongs_to_one_process(count: int, size: int, lengths: list[int]) -> None:
    rows = [World(rank=rank, size=size).rows(count) for rank in range(size)]
    assert [i for part in rows for i in range(count)[part]] == list(range(count))
    assert [part.stop - part.start for part in rows] == lengths


def test_a_process_alone_gets_its_argument_back() -> None:
    rows = torch.arange(3)
    with join_world() as world:
        assert world == current_world() == World(rank=0, size=1)
        assert world.is_main
        assert world.all_gather_rows(rows) is rows
        assert world.broadcast_object(rows) is rows
        assert world.gather_objects(rows) == [rows]
        assert world.max_over_ranks(3, 4) == (3, 4)
        assert not world.any_rank(False)
        world.barrier()


def test_a_process_alone_does_not_import_torch() -> None:
    script = (
        "import sys; from alexnet.parallel import join_world\n"
        "with join_world() as world: world.barrier(); world.any_rank(True)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def exchange() -> dict[str, object]:
    world = current_world()
    start = world.rank * 10
    with join_world() as inner:
        assert inner == world
    return {
        "world": (world.rank, world.size, world.local_rank, world.local_size),
        "tensor": world.all_gather_rows(torch.arange(start, start + world.rank + 1)[:, None]),
        "array": world.all_gather_rows(np.full((2 * world.rank, 3), start, np.float32)),
        "bytes": world.all_gather_rows(torch.tensor([world.rank == 1])),
        "objects": world.gather_objects(f"rank {world.rank}"),
        "from 1": world.broadcast_object({"rank": world.rank}, source=1),
        "max": world.max_over_ranks(world.rank, -world.rank, 15 * world.rank),
        "any": (world.any_rank(world.rank == 1), world.any_rank(False)),
    }


def test_processes_exchange_rows_objects_and_flags(pair: Processes) -> None:
    first, second = pair.run(exchange)
    assert first.pop("world") == (0, 2, 0, 2)
    assert second.pop("world") == (1, 2, 1, 2)
    for found in (first, second):
        assert found["tensor"].tolist() == [[0], [10], [11]]
        assert found["array"].tolist() == [[10, 10, 10]] * 2
        assert found["array"].dtype == np.float32
        assert found["bytes"].tolist() == [False, True]
        assert found["objects"] == ["rank 0", "rank 1"]
        assert found["from 1"] == {"rank": 1}
        assert found["max"] == (1, 0, 15)
        assert found["any"] == (True, False)
