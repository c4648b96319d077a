"""Training batches as arrays; the order of an epoch is a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from alexnet.data.store.store import Store

Batch: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Images uint8 [B, S, S, 3] and labels int64 [B]."""
AnyBatch = TypeVar("AnyBatch", bound=tuple[Any, Any])
"""A batch of arrays or of tensors."""


@dataclass(frozen=True)
class Batches:
    """The training images of a store, reshuffled in each epoch.

    The last images of an epoch that do not fill a batch are left out of it (other ones in each
    epoch). A training set smaller than one batch is one batch.
    """

    store: Store
    indices: np.ndarray
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch, at least one."""
        return max(1, len(self.indices) // self.batch_size)

    def order(self, epoch: int) -> np.ndarray:
        """The indices in the order of an epoch, which counts from 0."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.indices)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `first_step` on; a thread reads one batch ahead."""
        order = self.order(epoch)
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, order, first_step)
            for step in range(first_step, self.steps_per_epoch):
                batch = ahead.result()
                if step + 1 < self.steps_per_epoch:
                    ahead = reader.submit(self._read, order, step + 1)
                yield batch

    def _read(self, order: np.ndarray, step: int) -> Batch:
        indices = order[step * self.batch_size : (step + 1) * self.batch_size]
        return self.store.images(indices), self.store.labels[indices]
