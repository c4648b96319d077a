"""Work on a pool of threads, with a short queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from alexnet.ops.cores import num_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_bounded(
    pool: ThreadPoolExecutor, f: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """The results of `f` in the order of `items`, as `pool.map` gives them.

    At most two items per CPU core wait in the queue, so that an interrupt ends at once and results
    do not pile up in memory.
    """
    max_pending = 2 * num_cores()
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(f, item))
        if len(pending) > max_pending:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
