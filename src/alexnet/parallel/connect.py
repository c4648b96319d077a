"""How the processes that were started together find each other, and who is missing if they do not.

They meet in torchrun's store, or in one that the process of rank 0 opens. torchrun keeps its store
when it starts the processes again, so it may hold what earlier processes have left: every process
brings a word of its own, and the main one calls all by them into a part of the store that is new.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from alexnet.errors import ProcessLostError
from alexnet.parallel.watch import (
    Watch,
    end_process,
    introduce,
    start_watch,
    tells_without_store,
)
from alexnet.parallel.world import PATIENCE, World

CONNECT_SECONDS = 300.0
"""Seconds in which all processes must connect; torch alone takes a minute to import from a slow
disk."""
LOOK_SECONDS = 3.0
"""Seconds in which a process looks for signs of the others, to find out which are missing."""
STORE_SECONDS = 15.0
"""Seconds that a process waits for an answer of the store once all are connected."""
POLL_SECONDS = 0.02
MAX_SHOWN = 8
HELLO, CALL = "alexnet hello", "alexnet call"


def connect(world: World) -> tuple[Watch, Store]:
    """Wait until all processes of a world are connected; from then on they watch each other.

    Returns:
        The watch, and a part of the store that these processes alone use.

    Raises:
        ProcessLostError: some are not here after CONNECT_SECONDS, or nobody has a store.
    """
    has_store = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    lost = ProcessLostError(
        f"rank {world.rank} does not reach {'torchrun' if has_store else 'rank 0'} at "
        f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} (MASTER_ADDR, MASTER_PORT) "
        f"within {CONNECT_SECONDS:g} s: see whether that is the first host, whether what should "
        "answer there runs, and whether a firewall is between",
        is_told=not (world.is_main or tells_without_store(world, is_store_of_torchrun=has_store)),
    )
    try:
        with _ending_if_silent(lost):
            store = _store(CONNECT_SECONDS, is_here=world.is_main and not has_store)
            session = RollCall(world, store).wait()
            store.set_timeout(PATIENCE)  # NCCL meets there before its first exchange
            own = _store(STORE_SECONDS)  # one that waits for a value makes no other thread wait
            watch = start_watch(world, PrefixStore(session, own), is_store_of_torchrun=has_store)
    except RuntimeError as error:
        raise lost from error
    return watch, PrefixStore(session, store)


@contextmanager
def _ending_if_silent(error: ProcessLostError) -> Iterator[None]:
    """A context in which this process is ended if connecting takes too long.

    A question to a store whose process is stopped waits for ever.
    """

    def end() -> None:
        end_process("" if error.is_told else str(error))

    timer = threading.Timer(CONNECT_SECONDS + 2 * LOOK_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _store(seconds: float, *, is_here: bool = False) -> Store:
    """Connect to the store at MASTER_ADDR and MASTER_PORT; with `is_here` this process opens it."""
    return TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=is_here,
        timeout=timedelta(seconds=seconds),
        wait_for_workers=False,
        multi_tenant=True,
    )


@dataclass
class RollCall:
    """Waits until every process of a world is connected."""

    world: World
    store: Store
    word: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Random name of this process, which no process before it has had."""
    _beats: int = 0
    _called: list[str] = field(default_factory=list)
    _answered: str = ""

    def wait(self) -> str:
        """Wait for all processes; return the name of a part of the store that only they use.

        Raises:
            ProcessLostError: some are not here after CONNECT_SECONDS; it names them.
        """
        end = time.monotonic() + CONNECT_SECONDS
        while time.monotonic() < end:
            self._beat()
            if self.world.is_main:
                self._call()
            if self._are_all_here():
                return self._answered
            time.sleep(POLL_SECONDS)
        raise self._missing()

    def _beat(self) -> None:
        self._beats += 1
        self.store.set(f"{HELLO} {self.world.rank}", f"{self.word} {self._beats}")

    def _call(self) -> None:
        """If the processes have changed, publish their list and a new name for their store."""
        keys = [f"{HELLO} {rank}" for rank in range(self.world.size)]
        if not self.store.check(keys):
            return
        words = [hello.decode().split()[0] for hello in self.store.multi_get(keys)]
        if words != self._called:
            self.store.set(CALL, " ".join([uuid.uuid4().hex, *words]))
            self._called = words

    def _are_all_here(self) -> bool:
        """Whether all processes of the newest call have answered; it may list one that ended."""
        if not self.store.check([CALL]):
            return False
        session, *words = self.store.get(CALL).decode().split()
        if self.word not in words:
            return False
        is_new = session != self._answered
        if is_new:
            introduce(self.world.rank, PrefixStore(session, self.store))
            self._answered = session
        return bool(self.store.add(f"{CALL} {session}", int(is_new)) == self.world.size)

    def _missing(self) -> ProcessLostError:
        """The error that names the missing processes; the first one that is here reports it."""
        first, here = self._hellos(), {self.world.rank: self.word}
        end = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < end:
            self._beat()
            now = self._hellos()
            here |= {i: now[i].split()[0] for i, hello in enumerate(first) if now[i] != hello}
            time.sleep(POLL_SECONDS)
        away = [rank for rank in range(self.world.size) if rank not in here]
        return ProcessLostError(
            f"{_ranks_text(away)} of {self.world.size} processes did not connect within "
            f"{CONNECT_SECONDS:g} s; see whether they run and reach this one, and start all again",
            is_told=self.store.add(f"{CALL} failed {here[min(here)]}", 1) > 1,
        )

    def _hellos(self) -> list[str]:
        """The last hello of every process; "" for one that has sent none."""
        keys = [f"{HELLO} {rank}" for rank in range(self.world.size)]
        return [self.store.get(key).decode() if self.store.check([key]) else "" for key in keys]


def _ranks_text(ranks: Sequence[int]) -> str:
    """The first of these ranks: "rank 3", "ranks 1, 2, 4 and 60 more"."""
    shown = ", ".join(map(str, ranks[:MAX_SHOWN]))
    more = f" and {len(ranks) - MAX_SHOWN} more" if len(ranks) > MAX_SHOWN else ""
    return f"rank{'' if len(ranks) == 1 else 's'} {shown}{more}"
