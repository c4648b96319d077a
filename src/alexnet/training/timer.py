"""Timing of an epoch, even if it is interrupted and resumed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alexnet.data.batches import AnyBatch
from alexnet.records import EpochTimes


@dataclass(frozen=True, kw_only=True, slots=True)
class Elapsed:
    """Time and images of an epoch so far."""

    images: int = 0
    data_wait_seconds: float = 0.0
    training_seconds: float = 0.0
    """Seconds of training, including the wait for data, without saving checkpoints."""
    elapsed_seconds: float = 0.0
    """Seconds in all, including evaluation and checkpoints."""


class EpochTimer:
    """Measures an epoch's waiting for data, its training, and its total time."""

    def __init__(self, before: Elapsed | None = None) -> None:
        self.before = before or Elapsed()
        """What the epoch had taken when the run was interrupted."""
        self.images = 0
        self.data_wait_seconds = 0.0
        self.saving_seconds = 0.0
        self.training_seconds = 0.0
        self.began_at = time.perf_counter()
        self.training_began_at = 0.0

    def timed(self, batches: Iterator[AnyBatch]) -> Iterator[AnyBatch]:
        """Iterate over the batches; measure the wait for each, and the time of all."""
        self.training_began_at = time.perf_counter()
        self.saving_seconds = 0.0  # what was saved before is no part of the training
        while True:
            asked_at = time.perf_counter()
            batch = next(batches, None)
            self.data_wait_seconds += time.perf_counter() - asked_at
            if batch is None:
                break
            self.images += len(batch[1])
            yield batch
        self.training_seconds = self._training_so_far()
        self.training_began_at = 0.0

    @contextmanager
    def saving(self) -> Iterator[None]:
        """A context whose time does not count as training time."""
        began_at = time.perf_counter()
        yield
        self.saving_seconds += time.perf_counter() - began_at

    def elapsed(self) -> Elapsed:
        """The time so far, with that before the interruption."""
        training = self._training_so_far() if self.training_began_at else self.training_seconds
        return Elapsed(
            images=self.before.images + self.images,
            data_wait_seconds=self.before.data_wait_seconds + self.data_wait_seconds,
            training_seconds=self.before.training_seconds + training,
            elapsed_seconds=self.before.elapsed_seconds + time.perf_counter() - self.began_at,
        )

    def times(self, epoch: int) -> EpochTimes:
        """The times of an epoch (counted from 1) that ends now."""
        elapsed = self.elapsed()
        return EpochTimes(
            epoch=epoch,
            images_per_second=elapsed.images / elapsed.training_seconds,
            data_wait_fraction=elapsed.data_wait_seconds / elapsed.training_seconds,
            elapsed_seconds=elapsed.elapsed_seconds,
        )

    def _training_so_far(self) -> float:
        return time.perf_counter() - self.training_began_at - self.saving_seconds
