"""How processes find each other: with what earlier ones left in the store, or with one missing."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from torch.distributed import HashStore, Store

from alexnet.errors import ProcessLostError
from alexnet.parallel import connect
from alexnet.parallel.connect import RollCall
from alexnet.parallel.watch import Watch
from alexnet.parallel.world import World
from support.connecting import stop_before_connecting, train_alone
from support.processes import free_port


def call_all(store: Store, ranks: list[int], size: int) -> list[str | ProcessLostError]:
    """What these ranks get, each in a thread."""

    def call(rank: int) -> str | ProcessLostError:
        try:
            return RollCall(World(rank, size), store).wait()
        except ProcessLostError as error:
            return error

    with ThreadPoolExecutor(len(ranks)) as pool:
        return list(pool.map(call, ranks))


@pytest.fixture
def store() -> Store:
    store = HashStore()
    store.set_timeout(timedelta(seconds=5))
    return store


def test_every_start_gets_a_part_of_the_store_of_its_own(store: Store) -> None:
    """torchrun keeps the store when it starts the processes again, also in another number."""
    sessions = []
    for size in (3, 2, 3):
        found = call_all(store, list(range(size)), size)
        assert len(set(found)) == 1
        sessions.append(found[0])
    assert len(set(sessions)) == 3


@pytest.mark.parametrize(("here", "away"), [([0, 2], "rank 1"), ([1, 2], "rank 0")])
def test_who_is_missing_is_named_by_the_first_that_is_here(
    here: list[int], away: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_all(store, [0, 1, 2], 3)  # earlier processes
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(connect, "LOOK_SECONDS", 0.3)
    errors = call_all(store, here, 3)
    assert all(f"{away} of 3 processes did not connect within 0.2 s" in str(e) for e in errors)
    assert sorted(e.is_told for e in errors if isinstance(e, ProcessLostError)) == [False, True]


@pytest.mark.parametrize(("is_store_of_torchrun", "ranks"), [(True, [0, 2]), (False, [1, 2])])
def test_without_the_store_one_of_each_host_tells(
    is_store_of_torchrun: bool, ranks: list[int]
) -> None:
    """Two hosts of two processes; a store that rank 0 kept ends with it."""
    worlds = [World(rank, 4, local_rank=rank % 2, local_size=2) for rank in range(4)]
    telling = [w.rank for w in worlds if Watch(w, Gone(), is_store_of_torchrun).speaks_first()]
    assert telling == ranks
    error = Watch(worlds[1], Gone(), is_store_of_torchrun, _first="7 host-0 x").find_dead()
    assert ("rank 0 (process 7 on host-0)" in str(error)) == (not is_store_of_torchrun)


class Gone(HashStore):
    """A store whose process has ended."""

    def add(self, key: str, value: int) -> int:
        raise ConnectionError

    def get(self, key: str) -> bytes:
        raise ConnectionError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rank", "text"),
    [
        (1, "rank 1 of 2 processes did not connect within 1 s"),
        (0, "rank 1 does not reach rank 0 at 127.0.0.1:"),
    ],
)
def test_a_process_that_is_stopped_before_it_connects_ends_the_other(
    rank: int, text: str, tmp_path: Path
) -> None:
    """Also where the store is in it: its port is open, and no question is ever answered."""
    context, port = multiprocessing.get_context("forkserver"), free_port()

    def start(which: int) -> BaseProcess:
        target = stop_before_connecting if which == rank else train_alone
        process = context.Process(target=target, args=(which, port, tmp_path / str(which)))
        process.start()
        return process

    first = start(rank)
    try:
        end = time.monotonic() + 50
        while not (tmp_path / str(rank)).exists() and time.monotonic() < end:
            time.sleep(0.05)
        other = start(1 - rank)
        other.join(50)
        assert other.exitcode == 2
        said = (tmp_path / str(1 - rank)).read_text().splitlines()
        assert len(said) == 1
        assert said[0].startswith(f"alexnet: {text}")
    finally:
        first.kill()
        first.join()
