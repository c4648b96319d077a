"""Training batches as arrays; the order of an epoch is a function of (seed, epoch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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
    is_balanced: bool = False
    """Whether each class comes equally often in an epoch, see `balanced_order`."""
    rows: Callable[[int], np.ndarray] | None = None
    """Gives, for a batch's size, the positions in it of the images to read; None: all of them."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch, at least one."""
        return max(1, len(self.indices) // self.batch_size)

    @property
    def images_per_step(self) -> int:
        """Images in a batch; fewer than `batch_size` if the training set is smaller."""
        return min(self.batch_size, len(self.indices))

    def order(self, epoch: int) -> np.ndarray:
        """The indices in the order of an epoch, which counts from 0."""
        random = np.random.default_rng([self.seed, epoch])
        if self.is_balanced:
            return balanced_order(self.indices, self.store.labels[self.indices], random)
        return random.permutation(self.indices)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `first_step` on; a thread reads one batch ahead.

        Labels are always those of the whole batch. The thread ends by itself: nobody waits for it,
        because an abandoned epoch may be collected where waiting would never end.
        """
        order = self.order(epoch)
        reader = ThreadPoolExecutor(1)
        try:
            ahead = reader.submit(self._read, order, first_step)
            for step in range(first_step, self.steps_per_epoch):
                batch = ahead.result()
                if step + 1 < self.steps_per_epoch:
                    ahead = reader.submit(self._read, order, step + 1)
                yield batch
        finally:
            reader.shutdown(wait=False, cancel_futures=True)

    def _read(self, order: np.ndarray, step: int) -> Batch:
        indices = order[step * self.batch_size : (step + 1) * self.batch_size]
        read = indices if self.rows is None else indices[self.rows(len(indices))]
        return self.store.images(read), self.store.labels[indices]


def balanced_order(
    indices: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """An order of images in which every class comes equally often.

    It is a sequence of rounds of one image per class, so the classes of any part of it differ by at
    most one image. There are as many rounds as give each epoch its usual length. A class with fewer
    images than rounds repeats them, each once before any a second time.

    Args:
        indices: indices of the images.
        labels: labels of these images.
        random: source of all random numbers.

    Returns:
        The indices in their order: len(indices) of them, rounded up to whole rounds.
    """
    classes = np.unique(labels)
    rounds = math.ceil(len(indices) / len(classes))
    columns = []
    for label in classes:
        own = indices[labels == label]
        repeats = math.ceil(rounds / len(own))
        columns.append(np.concatenate([random.permutation(own) for _ in range(repeats)])[:rounds])
    order: np.ndarray = random.permuted(np.stack(columns, axis=1), axis=1).ravel()
    return order
