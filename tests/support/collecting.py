"""What happens when the garbage collector closes an abandoned generator at the worst moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

SECONDS = 20


def closes_while_a_thread_starts(generator: Iterator[Any]) -> bool:
    """Whether a generator is closed in a thread that is itself being registered.

    CPython holds a lock then (up to 3.12), and a collection may begin there: joining another thread
    would wait for that lock forever.
    """
    lock = getattr(threading, "_shutdown_locks_lock", None) or nullcontext()
    closed = threading.Event()

    def close() -> None:
        with lock:
            generator.close()  # type: ignore[attr-defined]
        closed.set()

    threading.Thread(target=close, daemon=True).start()
    return closed.wait(SECONDS)


def threads_end(count: int) -> bool:
    """Whether no more threads than so many are left after a while."""
    for _ in range(SECONDS * 50):
        if threading.active_count() <= count:
            return True
        threading.Event().wait(0.02)
    return False
