"""Batches that are copied to a GPU while it computes the step before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from alexnet.data.batches import Batch

DeviceBatch: TypeAlias = tuple[Tensor, Tensor]
"""Images uint8 [B, S, S, 3] and labels int64 [B], on the device."""
Copied = TypeVar("Copied")


class Copies(Protocol[Copied]):
    """The interface of what copies batches to a device."""

    def start(self, batch: Batch) -> Copied:
        """Begin to copy a batch; called in a background thread."""

    def finish(self, copied: Copied) -> DeviceBatch:
        """Return the copied batch, ready for the following operations; called by the consumer."""


def prefetch(batches: Iterator[Batch], copies: Copies[Copied]) -> Iterator[DeviceBatch]:
    """Iterate over the batches on a device; while one is used, a thread copies the next.

    An error of `batches` is raised where its batch is asked for. The thread ends by itself, as that
    of `Batches.epoch`.
    """

    def start_next() -> Copied | None:
        batch = next(batches, None)
        return None if batch is None else copies.start(batch)

    thread = ThreadPoolExecutor(1)
    try:
        copied = thread.submit(start_next).result()
        while copied is not None:
            ahead = thread.submit(start_next)
            yield copies.finish(copied)
            copied = ahead.result()
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


class GPUCopies:
    """Copies through pinned memory, on a CUDA stream of their own."""

    def __init__(self, device: torch.device) -> None:
        index = torch.cuda.current_device() if device.index is None else device.index
        self.device, self.stream = torch.device("cuda", index), copy_stream(index)

    def start(self, batch: Batch) -> tuple[DeviceBatch, torch.cuda.Event]:
        """Begin to copy a batch; return it with the event recorded after the copy.

        torch uses the pinned memory for nothing else before the copy has ended.
        """
        torch.cuda.set_device(self.device)  # in a new thread it is the first GPU
        with torch.cuda.stream(self.stream):
            images, labels = (
                torch.from_numpy(array).pin_memory().to(self.device, non_blocking=True)
                for array in batch
            )
        return (images, labels), self.stream.record_event()

    def finish(self, copied: tuple[DeviceBatch, torch.cuda.Event]) -> DeviceBatch:
        """The batch; the current stream waits for its copy, and the CPU does not."""
        batch, copied_event = copied
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(copied_event)
        for tensor in batch:  # else a later copy could overwrite it before the step has ended
            tensor.record_stream(stream)
        return batch


@cache
def copy_stream(index: int) -> torch.cuda.Stream:
    """The stream of all copies to a GPU; torch keeps freed memory for the stream it was used in."""
    return torch.cuda.Stream(index)  # type: ignore[no-untyped-call]
