"""Training batches: the order is a function of (seed, epoch), a batch is a slice of uint8."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from alexnet.data.store.store import Store

Batch: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Pictures uint8 [B, S, S, 3] and labels int64 [B]."""
AnyBatch = TypeVar("AnyBatch", bound=tuple[Any, Any])
"""The same as arrays or as tensors."""


@dataclass(frozen=True)
class Batches:
    """The training pictures of a store, dealt anew each epoch.

    The last pictures of an epoch that do not fill a batch are left out of it; other ones the next
    time. A set smaller than one batch is one batch.
    """

    store: Store
    rows: np.ndarray
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch, at least one."""
        return max(1, len(self.rows) // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """The rows in the order of an epoch, which counts from 0."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.rows)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Pictures uint8 [B, S, S, 3] and labels int64 [B] from `first_step` of an epoch on.

        A thread reads one batch ahead.
        """
        order = self.order(epoch)
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, order, first_step)
            for step in range(first_step, self.steps_per_epoch):
                batch = ahead.result()
                if step + 1 < self.steps_per_epoch:
                    ahead = reader.submit(self._read, order, step + 1)
                yield batch

    def _read(self, order: np.ndarray, step: int) -> Batch:
        rows = order[step * self.batch_size : (step + 1) * self.batch_size]
        return self.store.images(rows), self.store.labels[rows]
