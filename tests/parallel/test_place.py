"""Where processes are, which GPU each has, and processes that compute in different types."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from alexnet.errors import UsageError
from alexnet.parallel import device, watch
from alexnet.parallel.device import device_in_world, device_of_rank
from alexnet.parallel.place import Place, only_gpu, own_place, place_in, placed
from alexnet.parallel.world import World, current_world
from support.processes import Processes

GPU = torch.device("cuda")


def locals_of(*places: Place) -> list[tuple[int, int]]:
    """Local rank and local size of every process."""
    worlds = [place_in(World(rank, len(places)), places) for rank in range(len(places))]
    return [(world.local_rank, world.local_size) for world in worlds]


def test_what_the_launcher_tells_holds() -> None:
    """Also in containers that each have a name of their own."""
    numbers = [(1, 2), (0, 2), (0, 1)]
    for hosts in ("aab", "abc"):
        places = (Place(host, local, "") for host, local in zip(hosts, numbers, strict=True))
        assert locals_of(*places) == numbers


def test_what_the_launcher_tells_holds_on_machines_of_one_name() -> None:
    numbers = [(0, 2), (1, 2), (0, 2), (1, 2)]
    assert locals_of(*(Place("localhost", local, "") for local in numbers)) == numbers


def test_machines_of_one_name_are_told_apart_by_their_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of the first space of process numbers is the same on every machine."""
    hosts = set()
    for boot in ("1", "2"):
        (tmp_path / boot).write_text(f"{boot}\n")
        monkeypatch.setattr(watch, "BOOT_ID", tmp_path / boot)
        hosts.add(watch.this_host())
    monkeypatch.setattr(watch, "BOOT_ID", tmp_path / "missing")
    hosts.add(watch.this_host())
    assert len(hosts) == 3
    assert {host.split(" ")[0] for host in hosts} == {socket.gethostname()}


@pytest.mark.parametrize("local", [None, (0, 2)])
def test_processes_that_no_launcher_counts_are_counted_by_host(
    local: tuple[int, int] | None,
) -> None:
    places = [Place(host, local, "") for host in "abab"]
    assert locals_of(*places) == [(0, 2), (0, 2), (1, 2), (1, 2)]


def test_a_process_has_a_gpu_of_its_own_if_no_other_sees_it() -> None:
    def owns(*gpus: str) -> list[bool]:
        places = [Place("a", None, gpu) for gpu in gpus]
        return [place_in(World(rank, 2), places).has_own_gpu for rank in range(2)]

    assert owns("x", "y") == [True, True]
    assert owns("x", "x") == [False, False]
    assert owns("", "") == [False, False]


def test_the_place_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert own_place().local is None
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert own_place() == Place(own_place().host, (1, 2), only_gpu())


def test_the_gpu_that_a_process_sees_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        uuid = "GPU-1"

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties)
    for count, gpu in ((0, ""), (1, "GPU-1"), (2, "")):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert only_gpu() == gpu


@pytest.mark.parametrize(
    ("count", "own", "index"), [(1, True, 0), (2, False, 1), (4, False, 1), (1, False, None)]
)
def test_the_gpu_of_a_process(
    count: int, own: bool, index: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two; `None`: it is refused."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    world = World(1, 2, local_rank=1, local_size=2, has_own_gpu=own)
    if index is None:
        with pytest.raises(UsageError, match="this machine has 1 GPUs for 2 processes"):
            device_of_rank(GPU, world)
    else:
        assert device_of_rank(GPU, world) == torch.device("cuda", index)
        assert chosen == [index]


def without_local_ranks(local_rank: str | None) -> tuple[World, str]:
    os.environ.pop("LOCAL_RANK"), os.environ.pop("LOCAL_WORLD_SIZE")
    if local_rank is not None:
        os.environ.update(LOCAL_RANK=local_rank, LOCAL_WORLD_SIZE="2")
    world = current_world()
    return placed(World(world.rank, world.size)), os.environ["LOCAL_RANK"]


@pytest.mark.parametrize("local_rank", [None, "0"])
def test_processes_of_a_host_count_themselves(pair: Processes, local_rank: str | None) -> None:
    assert pair.run(without_local_ranks, local_rank) == [
        (World(rank, 2, local_rank=rank, local_size=2), str(rank)) for rank in range(2)
    ]


def compute_unlike(precision: Any) -> str:
    rank, before = current_world().rank, device.compute_dtype
    device.compute_dtype = (  # type: ignore[attr-defined]
        lambda where, precision: torch.bfloat16 if rank and precision == "auto" else torch.float32
    )
    try:
        return str(device_in_world("cpu", precision, current_world()))
    except UsageError as error:
        return str(error)
    finally:
        device.compute_dtype = before  # type: ignore[attr-defined]


def test_processes_that_would_compute_in_different_types_are_refused(pair: Processes) -> None:
    """Each would wait for ever for exchanges of another size."""
    told = (
        "the processes compute in different ways: rank 0 on cpu in float32 and rank 1 on cpu in "
        "bfloat16; use --precision float32"
    )
    assert pair.run(compute_unlike, "auto") == [told, told]
    assert pair.run(compute_unlike, "float32") == ["cpu", "cpu"]
