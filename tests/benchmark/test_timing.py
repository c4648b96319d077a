"""Alternating measurements, by a clock that only the functions move."""

from __future__ import annotations

import pytest
import torch

from alexnet.benchmark.timing import seconds_per_call, spread, time_interleaved

CPU = torch.device("cpu")


class Clock:
    """Functions that take a fixed time and note that they were called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def run(self, name: str, seconds: float) -> None:
        self.now += seconds
        self.calls.append(name)


def test_a_round_calls_every_function_once() -> None:
    clock = Clock()
    functions = {"slow": lambda: clock.run("slow", 3), "fast": lambda: clock.run("fast", 1)}
    times = time_interleaved(functions, 2, CPU, warmup_rounds=1, clock=clock)
    assert times == {"slow": [3, 3], "fast": [1, 1]}
    assert clock.calls == ["slow", "fast"] * 3


def test_short_calls_are_repeated_up_to_the_minimum() -> None:
    clock = Clock()
    functions = {"slow": lambda: clock.run("slow", 3), "fast": lambda: clock.run("fast", 1)}
    times = time_interleaved(functions, 1, CPU, warmup_rounds=0, min_seconds=2.5, clock=clock)
    assert times == {"slow": [3], "fast": [1]}
    assert clock.calls == ["slow", "fast", "fast", "fast"]


def test_seconds_per_call_is_the_mean() -> None:
    clock = Clock()
    durations = iter([1.0, 2.0, 6.0])
    mean = seconds_per_call(lambda: clock.run("", next(durations)), CPU, 8, clock)
    assert mean == 3


def test_the_default_clock_runs() -> None:
    assert seconds_per_call(lambda: None, CPU, 0.001) > 0


def test_spread_by_hand() -> None:
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert (found.median, found.low, found.high, found.n) == (2.5, 1.0, 10.0, 4)
    assert spread([1.0]).median == pytest.approx(1)
