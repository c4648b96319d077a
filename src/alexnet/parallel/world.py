"""The processes that work together, and the small values that they exchange.

torchrun starts N processes and describes them in the environment. `join_world` connects them;
`current_world` says which of them this one is. A process that was started alone is a world of one:
its exchanges return their argument, and torch.distributed is not touched.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")

PATIENCE = timedelta(days=7)
"""How long an exchange waits for the slowest process, which may be decoding a data set."""
FAILED_EXCHANGE = ("gloo", "NCCL", "ncclUnhandled", "Connection closed by peer", "Connection reset")
"""Words by which the message of a failed exchange's error is recognized."""
LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun sets in the environment of every process."""


@dataclass(frozen=True)
class World:
    """The processes that work together, seen from one of them."""

    rank: int = 0
    """Rank of this process, from 0 to size - 1."""
    size: int = 1
    """Number of processes, on all hosts."""
    local_rank: int = 0
    """Rank of this process among those of its host; it chooses the GPU."""
    local_size: int = 1
    """Number of processes on this host."""
    has_own_gpu: bool = False
    """Whether this process sees one GPU, which no other process sees; else the local rank chooses
    one."""

    @property
    def is_main(self) -> bool:
        """Whether this is the process of rank 0, which writes the files and prints."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """The rows of this process out of `count`; the first parts have one more if uneven."""
        return self.all_rows(count)[self.rank]

    def all_rows(self, count: int) -> list[slice]:
        """Each process's part of `count` rows, in the order of the ranks."""
        whole, more = divmod(count, self.size)
        ends = [whole * (rank + 1) + min(rank + 1, more) for rank in range(self.size)]
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def all_gather_rows(self, rows: Value, count: int | None = None) -> Value:
        """The rows of all processes, one after another in the order of the ranks.

        Args:
            rows: a tensor or an array [n, ...]; n may differ between the processes, the rest of the
                shape and the type may not.
            count: of the rows of all processes, if they are spread as by `all_rows`; without it the
                processes exchange how many each has.

        Returns:
            [sum of n, ...], of the same kind and on the same device, the same in every process.
        """
        if self.size == 1:
            return rows
        import numpy as np
        import torch

        lengths = None if count is None else [r.stop - r.start for r in self.all_rows(count)]
        if isinstance(rows, np.ndarray):
            gathered = _gather_tensors(torch.from_numpy(rows), lengths).numpy()
        else:
            gathered = _gather_tensors(rows, lengths)
        whole: Value = gathered
        return whole

    def gather_objects(self, value: Value) -> list[Value]:
        """Every process's value, in the order of the ranks; for small Python objects.

        A tensor in it comes out on the device that it was on in the other process: one of the CPU.
        """
        if self.size == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def broadcast_object(self, value: Value, source: int = 0) -> Value:
        """The value that the process of rank `source` has; limits as of `gather_objects`."""
        if self.size == 1:
            return value
        from torch import distributed

        values = [value]
        distributed.broadcast_object_list(values, source)
        return values[0]

    def max_over_ranks(self, *numbers: int) -> tuple[int, ...]:
        """The highest of each number among the processes; one exchange for all of them."""
        if self.size == 1:
            return numbers
        import torch
        from torch import distributed

        highest = torch.tensor(numbers, dtype=torch.int64)
        distributed.all_reduce(highest, distributed.ReduceOp.MAX)
        return tuple(int(number) for number in highest)

    def sum_over_ranks(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The sum of each tensor over the processes; one exchange for all of them.

        The tensors have one data type and device, and in every process the same shapes. Every
        process gets the same bits.
        """
        if self.size == 1:
            return tensors
        import torch
        from torch import distributed

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        sums = torch.split(flat, [tensor.numel() for tensor in tensors])
        return tuple(s.view(t.shape) for s, t in zip(sums, tensors, strict=True))

    def any_rank(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.max_over_ranks(flag)[0])

    def barrier(self) -> None:
        """Wait until every process is here."""
        self.any_rank(False)


ALONE = World()
"""The world of a process that was started alone."""
_joined: list[World] = []
"""The world that this process has joined, if any."""


def _gather_tensors(rows: Any, lengths: list[int] | None) -> Any:
    import torch
    from torch import distributed

    lengths = lengths or _gather_lengths(len(rows))
    padded = rows.new_zeros((max(lengths), *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in lengths]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:n] for part, n in zip(parts, lengths, strict=True)])


def _gather_lengths(length: int) -> list[int]:
    import torch
    from torch import distributed

    counts = [torch.zeros(1, dtype=torch.int64) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, torch.tensor([length]))
    return [int(count) for count in counts]


def current_world() -> World:
    """The world of this process; a world of one if it is alone."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
        return ALONE
    if _joined:
        return _joined[0]
    return _world_of(distributed.get_rank(), distributed.get_world_size())


def launched_world() -> World:
    """The world described by torchrun's environment variables in this process."""
    return _world_of(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


def _world_of(rank: int, size: int) -> World:
    local_rank = int(os.environ.get("LOCAL_RANK", rank))
    return World(rank, size, local_rank, int(os.environ.get("LOCAL_WORLD_SIZE", size)))


def launched_size() -> int:
    """The number of processes that this one was started with: torchrun's; 1 if it is alone."""
    is_launched = all(name in os.environ for name in LAUNCHED)
    return int(os.environ["WORLD_SIZE"]) if is_launched else 1


def on_main(write: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Wrap a function that writes files so that only the process of rank 0 calls it."""

    @wraps(write)
    def call(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        if current_world().is_main:
            write(*arguments, **options)

    return call


@contextmanager
def join_world() -> Iterator[World]:
    """A context in which the processes that were started together are connected.

    Tensors on a CPU are exchanged by gloo, those on GPUs by NCCL. In a context of its own kind, or
    where the program has initialized torch.distributed itself, it changes nothing.
    """
    world = current_world()
    if world.size > 1 or launched_size() == 1:
        yield world
        return
    from torch import distributed

    from alexnet.parallel.connect import connect
    from alexnet.parallel.place import placed

    watch, store = connect(launched_world())
    world = watch.world
    try:
        distributed.init_process_group(
            _backend(), timeout=PATIENCE, store=store, rank=world.rank, world_size=world.size
        )
        world = placed(world)
        _joined[:] = [world]
        yield world
        world.barrier()  # the main process may still write files when the others have finished
    except RuntimeError as error:
        if not _is_failed_exchange(error):
            raise
        _ignore_terminate()  # torchrun ends all processes when one has ended
        raise watch.find_dead() from error
    finally:
        watch.stop()
        _joined.clear()
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _backend() -> str:
    """The backends of torch.distributed: gloo for CPU tensors, and NCCL if there are GPUs."""
    import torch
    from torch import distributed

    has_nccl = torch.cuda.is_available() and distributed.is_nccl_available()
    return "cpu:gloo,cuda:nccl" if has_nccl else "gloo"


def _is_failed_exchange(error: RuntimeError) -> bool:
    """Whether an error is that of an exchange, which fails where another process has ended."""
    from torch.distributed import DistError

    text = str(error)
    return isinstance(error, DistError) or any(word in text for word in FAILED_EXCHANGE)


def _ignore_terminate() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
