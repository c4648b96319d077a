"""Batches that are copied ahead: their order, what overlaps, errors, and the end of the thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from alexnet.config.recipe import Recipe
from alexnet.data.batches import Batch, Batches
from alexnet.reporter import NullReporter
from alexnet.training import device_loader, prefetch
from alexnet.training.device_loader import stream
from alexnet.training.prefetch import DeviceBatch, GPUCopies
from alexnet.training.setup import set_up_training

pytestmark = pytest.mark.usefixtures("prepared_flowers")

SECONDS = 10.0
"""Until a test gives up."""


def batches_of_one(count: int) -> Iterator[Batch]:
    for number in range(count):
        yield np.full((1, 2, 2, 3), number, np.uint8), np.array([number])


class FakeCopies:
    """Copies nothing and remembers in which order it was asked to."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.changed = threading.Condition()

    def add(self, event: str) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def wait_for(self, event: str) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: event in self.events, SECONDS)

    def start(self, batch: Batch) -> DeviceBatch:
        self.threads.add(threading.current_thread())
        self.add(f"start {batch[1][0]}")
        return torch.from_numpy(batch[0]), torch.from_numpy(batch[1])

    def finish(self, copied: DeviceBatch) -> DeviceBatch:
        assert threading.current_thread() is threading.main_thread()
        self.add(f"finish {int(copied[1][0])}")
        return copied


def test_the_next_copy_starts_while_a_batch_is_used() -> None:
    copies = FakeCopies()
    for step, (images, labels) in enumerate(prefetch.prefetch(batches_of_one(4), copies)):
        assert int(labels) == step == int(images.max())
        if step < 3:
            assert copies.wait_for(f"start {step + 1}")
        assert f"start {step + 2}" not in copies.events, "one batch ahead is enough"
        copies.add(f"used {step}")
    kept = [e for e in copies.events if not e.startswith("finish")]
    for step in range(3):
        assert kept.index(f"start {step + 1}") < kept.index(f"used {step}")
    finished = [e for e in copies.events if e.startswith("finish")]
    assert finished == [f"finish {step}" for step in range(4)]
    assert threading.main_thread() not in copies.threads
    assert len(copies.threads) == 1


def test_an_error_of_the_reader_arrives_at_its_batch() -> None:
    def broken() -> Iterator[Batch]:
        yield from batches_of_one(2)
        raise OSError("the disk is gone")

    ahead = prefetch.prefetch(broken(), FakeCopies())
    assert [int(labels) for _, labels in islice(ahead, 2)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)


@pytest.mark.parametrize("ending", ["closed", "failed", "finished"])
def test_the_threads_end(ending: str, batches: Batches) -> None:
    before, copies = set(threading.enumerate()), FakeCopies()
    ahead = prefetch.prefetch(batches.epoch(0), copies)
    next(ahead)
    if ending == "closed":
        ahead.close()  # type: ignore[attr-defined]
    elif ending == "failed":
        with pytest.raises(RuntimeError):
            ahead.throw(RuntimeError("out of memory"))  # type: ignore[attr-defined]
    else:
        list(ahead)
    given_up_at = time.monotonic() + SECONDS
    while set(threading.enumerate()) - before and time.monotonic() < given_up_at:
        time.sleep(0.005)
    assert set(threading.enumerate()) <= before, "of the copies, and of the reader behind it"


@pytest.fixture
def batches(tiny: Recipe) -> Batches:
    return set_up_training(tiny, NullReporter()).batches


@pytest.mark.parametrize("first_step", [0, 2])
def test_a_gpu_gets_the_same_batches_in_the_same_order(
    batches: Batches, first_step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_loader, "GPUCopies", lambda _: FakeCopies())
    found = list(stream(batches, torch.device("cuda")).epoch(3, first_step))
    plain = list(batches.epoch(3, first_step))
    assert len(found) == len(plain) == batches.steps_per_epoch - first_step
    for (pixels, labels), (images, truth) in zip(plain, found, strict=True):
        assert torch.equal(torch.from_numpy(pixels), images)
        assert torch.equal(torch.from_numpy(labels), truth)


class FakeStream:
    """A stream that remembers what is done on it."""

    def __init__(self, name: str, done: list[str]) -> None:
        self.name, self.done = name, done

    def record_event(self) -> str:
        self.done.append(f"{self.name} records")
        return f"event of {self.name}"

    def wait_event(self, event: str) -> None:
        self.done.append(f"{self.name} waits for {event}")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torch is asked to do with a GPU, in order; tensors stay where they are."""
    done: list[str] = []
    side, main = FakeStream("side", done), FakeStream("main", done)

    @contextmanager
    def use(stream: FakeStream) -> Iterator[None]:
        done.append(f"enter {stream.name}")
        yield
        done.append(f"leave {stream.name}")

    def pin(tensor: Tensor) -> Tensor:
        done.append("pin")
        return tensor

    def to(tensor: Tensor, device: torch.device, **options: Any) -> Tensor:
        done.append(f"copy to {device}, {options}")
        return tensor

    def record_stream(tensor: Tensor, stream: FakeStream) -> None:
        done.append(f"{stream.name} keeps {tensor.dtype}")

    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: done.append(f"on {device}"))
    monkeypatch.setattr(torch.cuda, "stream", use)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: main)
    monkeypatch.setattr(prefetch, "copy_stream", lambda index: side)
    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", to)
    monkeypatch.setattr(Tensor, "record_stream", record_stream)
    return done


def test_a_copy_is_on_its_own_stream_and_the_steps_wait_for_it(done: list[str]) -> None:
    copies, (batch,) = GPUCopies(torch.device("cuda")), batches_of_one(1)
    assert copies.device == torch.device("cuda", 1), "the current one, whatever a thread's is"
    copied = copies.start(batch)
    copy = ["pin", "copy to cuda:1, {'non_blocking': True}"]
    assert done == ["on cuda:1", "enter side", *copy, *copy, "leave side", "side records"]
    done.clear()
    images, labels = copies.finish(copied)
    assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
    waits = "main waits for event of side"
    assert done == [waits, "main keeps torch.uint8", "main keeps torch.int64"]


@pytest.mark.gpu
def test_streamed_batches_are_those_of_the_store(batches: Batches) -> None:
    """While the GPU computes on the batch before."""
    busy = torch.rand(4096, 4096, device="cuda")
    found = stream(batches, torch.device("cuda")).epoch(0)
    for (pixels, labels), (images, truth) in zip(batches.epoch(0), found, strict=True):
        busy = busy @ busy
        assert images.device.type == truth.device.type == "cuda"
        assert torch.equal(torch.from_numpy(pixels), images.cpu())
        assert torch.equal(torch.from_numpy(labels), truth.cpu())
