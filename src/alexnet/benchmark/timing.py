"""Timing of calls that take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Work = Callable[[], object]


MIN_SAMPLE_SECONDS = 0.2
"""What the turn of a network lasts at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Repeats of one measurement."""

    median: float
    low: float
    high: float
    n: int


def spread(values: list[float]) -> Spread:
    """Median and range."""
    return Spread(
        median=statistics.median(values), low=min(values), high=max(values), n=len(values)
    )


def seconds(work: Work, device: torch.device, least: float = 0.0) -> float:
    """How long a call takes, until the device has finished: the mean of `least` seconds' calls."""
    synchronize(device)
    began, calls, elapsed = time.perf_counter(), 0, 0.0
    while not calls or elapsed < least:
        work()
        synchronize(device)
        calls, elapsed = calls + 1, time.perf_counter() - began
    return elapsed / calls


def synchronize(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_interleaved(
    works: dict[str, Work],
    repeats: int,
    device: torch.device,
    *,
    warm_ups: int = 2,
    turn_seconds: float = 0.0,
) -> dict[str, list[float]]:
    """Seconds of a call, one turn of each in each round, the first `warm_ups` rounds not counted.

    A turn is one call, or as many as fill `turn_seconds`: a call of milliseconds would otherwise
    begin with the caches of another.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(warm_ups + repeats):
        for name, work in works.items():
            if turn < warm_ups:
                work()
            else:
                times[name].append(seconds(work, device, turn_seconds))
    return times
