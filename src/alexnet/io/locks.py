"""One process at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

POLL_SECONDS = 1.0
"""Interval at which a waiting process looks again."""


def is_held(path: Path) -> bool:
    """Whether another process holds the lock of this file."""
    if not os.path.lexists(path):
        return False
    try:
        FileLock(path).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    return False


@contextmanager
def waiting_lock(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Wait until no other process holds the lock of this file.

    Args:
        path: of the lock; its folder exists.
        on_wait: called every second while another process holds it.
    """
    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=POLL_SECONDS)
        except Timeout:
            on_wait()
    try:
        yield
    finally:
        lock.release()
