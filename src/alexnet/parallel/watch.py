"""A thread in every process of a world that notices when another one has ended or hangs.

An exchange waits for the slowest process, and a data set may take a day to decode; so how long an
exchange takes says nothing. Instead every process writes a beat into torchrun's store each second,
and reads that of the next rank. One that is silent ends all, in one sentence that names it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import ProcessLostError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

    from alexnet.parallel.world import World

BEAT_SECONDS = 1.0
SILENT_SECONDS = 15.0
"""Seconds without a heartbeat after which a process counts as lost; a machine that swaps may take a
few."""
DEAD_SECONDS = 3.0
"""Seconds without a heartbeat after which a process counts as ended, where an exchange has
failed."""
EXIT_CODE = 2
"""Exit code of a process that ends because another is lost, as of other errors of the command
line."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""File in which Linux has an id of the machine's last boot, which no other boot or machine has."""


@dataclass
class Watch:
    """One process's watch over the others, from `start` to `stop`."""

    world: World
    connection: Store
    is_store_of_torchrun: bool
    """Whether torchrun keeps the store, and not the process of rank 0."""
    advice: str = ""
    """What to do if a process is lost, as the end of the message that says so."""
    _first: str = ""
    """Process id and host of the process of rank 0."""
    _looked_at: float = 0.0
    """When the store last answered, by `time.monotonic`."""
    _has_lost_store: bool = False
    _is_over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start the threads that send this process's heartbeat and watch the next rank."""
        self._first = self.store.get("who 0").decode()
        self._looked_at = time.monotonic()
        for target in (self._run, self._guard):
            threading.Thread(target=target, name="alexnet-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop the threads; the store can still be used."""
        self._is_over.set()

    def speaks_first(self) -> bool:
        """Whether no process has reported an error yet; only the first that asks reports its own.

        Without the store they cannot agree: then one of each host tells.
        """
        with self._using_store():
            return bool(self.store.add("errors", 1) == 1)
        return tells_without_store(self.world, is_store_of_torchrun=self.is_store_of_torchrun)

    def leave(self) -> None:
        """Wait as needed so that the main process, which writes the files, ends before the others.

        If it keeps the store it waits for them, so that they hear who tells.
        """
        end = time.monotonic() + DEAD_SECONDS
        with self._using_store():
            if self.is_store_of_torchrun:
                if self.world.is_main:
                    self.store.set("main has ended", "")
                while not self.store.check(["main has ended"]) and time.monotonic() < end:
                    time.sleep(BEAT_SECONDS / 20)
                return
            num_left = self.store.add("have left", 1)
            while self.world.is_main and num_left < self.world.size and time.monotonic() < end:
                time.sleep(BEAT_SECONDS / 20)
                num_left = self.store.add("have left", 0)

    def find_dead(self) -> ProcessLostError:
        """The error that names the process whose end has made an exchange fail."""
        since = {rank: ("", time.monotonic()) for rank in range(self.world.size)}
        end = time.monotonic() + 2 * DEAD_SECONDS
        with self._using_store():
            while time.monotonic() < end:
                if self.store.check(["errors"]):
                    break
                for rank, (beat, at) in since.items():
                    if (now := self._beat_of(rank)) != beat:
                        since[rank] = now, time.monotonic()
                    elif time.monotonic() - at > DEAD_SECONDS:
                        return ProcessLostError(self._text(rank))
                time.sleep(BEAT_SECONDS / 4)
            return ProcessLostError(f"one of {self.world.size} processes has ended{self.advice}")
        return ProcessLostError(self._text_without_store())

    @property
    def store(self) -> Store:
        """The store; once lost it is not tried again, since each attempt takes seconds.

        Raises:
            ConnectionError: it is lost.
        """
        if self._has_lost_store:
            raise ConnectionError
        return self.connection

    @contextmanager
    def _using_store(self) -> Iterator[None]:
        """A context that is left early if the connection to the store is lost."""
        try:
            yield
        except Exception:  # of any kind that a lost connection raises
            self._has_lost_store = True

    def _run(self) -> None:
        """Send heartbeats, and watch those of the next rank, until stopped."""
        rank, beats = (self.world.rank + 1) % self.world.size, 0
        last, heard_at = "", time.monotonic()
        while not self._is_over.wait(BEAT_SECONDS):
            with self._using_store():
                self.store.set(f"beat {self.world.rank}", str(beats := beats + 1))
                beat, is_ending = self._beat_of(rank), self.store.check(["lost"])
            if self._has_lost_store:
                self._end_without_store()
                return
            now = time.monotonic()
            if beat != last or now - self._looked_at > SILENT_SECONDS / 2:  # or this was stopped
                last, heard_at = beat, now
            self._looked_at = now
            if is_ending:
                self._end("")
            elif now - heard_at > SILENT_SECONDS:
                with self._using_store():
                    self._end_silent(rank)

    def _guard(self) -> None:
        """End this process if the store stops answering, since a request to it may wait forever."""
        woke_at = time.monotonic()
        while not self._is_over.wait(BEAT_SECONDS):
            now = time.monotonic()
            if now - woke_at > SILENT_SECONDS / 2:  # this process was stopped
                self._looked_at = now
            woke_at = now
            if now - self._looked_at > SILENT_SECONDS:
                self._has_lost_store = True
                self._end_without_store()

    def _beat_of(self, rank: int) -> str:
        return str(self.store.get(f"beat {rank}"))

    def _text(self, rank: int) -> str:
        return self._lost(f"rank {rank}", self.store.get(f"who {rank}").decode())

    def _text_without_store(self) -> str:
        """The message that the store is lost, and with it the process that keeps it."""
        if not self.is_store_of_torchrun:
            return self._lost("rank 0", self._first)
        host = self._first.split(" ")[1]
        return f"what started the processes, on {host}, has ended or does not answer{self.advice}"

    def _lost(self, name: str, who: str) -> str:
        pid, host, *_ = who.split(" ")
        return f"{name} (process {pid} on {host}) has ended or does not answer{self.advice}"

    def _end_silent(self, rank: int) -> None:
        """Kill the silent process, which may be stopped and deaf to other signals; end this one."""
        text, who = self._text(rank), self.store.get(f"who {rank}").decode()
        self.store.set("lost", str(rank))
        is_first = self.speaks_first()
        _kill(who)
        self._end(text if is_first else "")

    def _end_without_store(self) -> None:
        """End this process; also kill rank 0 if that keeps the store and does not answer."""
        if self._is_over.is_set():
            return
        if not self.is_store_of_torchrun:
            _kill(self._first)
        self._end(self._text_without_store() if self.speaks_first() else "")

    def _end(self, text: str) -> None:
        """End this process at once, since its main thread may wait for an exchange forever."""
        if not self._is_over.is_set():
            end_process(text)


def tells_without_store(world: World, *, is_store_of_torchrun: bool) -> bool:
    """Whether this process reports that the store is lost: one process of each host does.

    Rank 0 does not where it keeps the store, and is lost with it.
    """
    has_lost_0 = world.rank == world.local_rank and not is_store_of_torchrun
    return world.local_rank == (1 if has_lost_0 else 0)


def end_process(text: str) -> None:
    """End this process at once, whatever it waits for; print `text`, unless it is empty."""
    if text:
        print(f"alexnet: {text}", file=sys.__stderr__, flush=True)
    os._exit(EXIT_CODE)


def _kill(who: str) -> None:
    """Kill a process if it is on this host; watches on other hosts end those there."""
    pid, host = who.split(" ", 1)
    if host == this_host():
        with suppress(OSError):
            os.kill(int(pid), signal.SIGKILL)


def this_host() -> str:
    """The host's name, its boot id, and the namespace of its process ids.

    Machines may share a name, containers name and boot id; the first namespace is equal on all.
    """
    facts = [socket.gethostname()]
    with suppress(OSError):
        facts.append(BOOT_ID.read_text().strip())
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return " ".join(facts)


_watches: list[Watch] = []
"""The watch of this process, if it has joined a world; it stays, to decide which process reports an
error."""


def introduce(rank: int, store: Store) -> None:
    """Store this process's id and host; call it before another process looks for them."""
    store.set(f"who {rank}", f"{os.getpid()} {this_host()}")
    store.set(f"beat {rank}", "0")


def start_watch(world: World, store: Store, *, is_store_of_torchrun: bool) -> Watch:
    """Start watching a world whose processes have introduced themselves in this store."""
    watch = Watch(world, store, is_store_of_torchrun)
    _watches[:] = [watch]
    watch.start()
    return watch


def advise(text: str) -> None:
    """Set the advice given to the user if a process is lost from now on."""
    for watch in _watches:
        watch.advice = f"; {text}"


def speaks_first() -> bool:
    """Whether this process reports its error: it is alone, or the first one that asks."""
    return all(watch.speaks_first() for watch in _watches)


def leave() -> None:
    """Leave the world; call it before this process ends by an error that has been reported."""
    for watch in _watches:
        watch.leave()


def has_watch() -> bool:
    """Whether this process has joined a world."""
    return bool(_watches)
