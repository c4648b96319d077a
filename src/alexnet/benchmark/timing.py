"""Time several functions alternately, and the spread of the measurements."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

Function: TypeAlias = Callable[[], object]
"""A function that is timed."""
MIN_SAMPLE_SECONDS = 0.2
"""Minimum duration of a measurement, for which a short call is repeated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Median, minimum and maximum of repeated measurements of one quantity."""

    median: float
    low: float
    high: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Compute the median, minimum, maximum and number of values."""
    return Spread(
        median=statistics.median(values), low=min(values), high=max(values), n=len(values)
    )


def seconds_per_call(
    function: Function,
    device: torch.device,
    min_seconds: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Mean seconds of a call, until the device has finished it.

    Args:
        function: called once, or repeatedly until `min_seconds` have passed.
        device: the device on which it computes.
        min_seconds: minimum duration of all calls together.
        clock: returns the time in seconds.
    """
    synchronize(device)
    start, calls, elapsed = clock(), 0, 0.0
    while not calls or elapsed < min_seconds:
        function()
        synchronize(device)
        calls, elapsed = calls + 1, clock() - start
    return elapsed / calls


def synchronize(device: torch.device) -> None:
    """Wait until a GPU, NVIDIA's, Apple's or Intel's, has finished; a CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def time_interleaved(
    functions: Mapping[str, Function],
    repeats: int,
    device: torch.device,
    *,
    warmup_rounds: int = 2,
    min_seconds: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds per call of each function, measured alternately.

    Each round measures every function once, so that other load on the machine slows all of them
    alike. A measurement repeats a short call, since the first one starts with the caches of another
    function.

    Args:
        functions: functions by name, in the order of a round.
        repeats: number of rounds that are measured.
        device: the device on which they compute.
        warmup_rounds: number of unmeasured rounds before, with one call of each function.
        min_seconds: minimum duration of a measurement.
        clock: returns the time in seconds.
    """
    for _ in range(warmup_rounds):
        for function in functions.values():
            function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            times[name].append(seconds_per_call(function, device, min_seconds, clock))
    return times
