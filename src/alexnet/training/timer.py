"""How long an epoch takes, also where it is trained in several sittings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alexnet.data.batches import AnyBatch
from alexnet.records import EpochTimes


@dataclass(frozen=True, kw_only=True, slots=True)
class Elapsed:
    """What an epoch has taken so far."""

    images: int = 0
    waiting_seconds: float = 0.0
    training_seconds: float = 0.0
    """Waiting included, saving not."""
    elapsed_seconds: float = 0.0
    """Everything included."""


class EpochTimer:
    """Splits an epoch's time into waiting for data, the rest of the training, and all else."""

    def __init__(self, before: Elapsed | None = None) -> None:
        self.before = before or Elapsed()
        self.images = 0
        self.waiting_seconds = 0.0
        self.saving_seconds = 0.0
        self.training_seconds = 0.0
        self.began = time.perf_counter()
        self.training_began = 0.0

    def timed(self, batches: Iterator[AnyBatch]) -> Iterator[AnyBatch]:
        """The same batches, with the time taken to get each added up."""
        self.training_began = time.perf_counter()
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self.waiting_seconds += time.perf_counter() - asked
            if batch is None:
                break
            self.images += len(batch[1])
            yield batch
        self.training_seconds = self._training_so_far()
        self.training_began = 0.0

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Time that is no training time."""
        began = time.perf_counter()
        yield
        self.saving_seconds += time.perf_counter() - began

    def spent(self) -> Elapsed:
        """The time up to now, with that of earlier sittings."""
        training = self._training_so_far() if self.training_began else self.training_seconds
        return Elapsed(
            images=self.before.images + self.images,
            waiting_seconds=self.before.waiting_seconds + self.waiting_seconds,
            training_seconds=self.before.training_seconds + training,
            elapsed_seconds=self.before.elapsed_seconds + time.perf_counter() - self.began,
        )

    def times(self, epoch: int) -> EpochTimes:
        """The times of an epoch, which counts from 1, that ends now."""
        spent = self.spent()
        return EpochTimes(
            epoch=epoch,
            images_per_second=spent.images / spent.training_seconds,
            data_wait_fraction=spent.waiting_seconds / spent.training_seconds,
            elapsed_seconds=spent.elapsed_seconds,
        )

    def _training_so_far(self) -> float:
        return time.perf_counter() - self.training_began - self.saving_seconds
