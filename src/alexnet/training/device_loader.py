"""Training batches on the training device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.data.batches import Batches

RESIDENT_SHARE = 0.5
"""Of a GPU's free memory that the pictures may take, so that the network has the rest."""
ROWS_AT_ONCE = 1024
"""Pictures that go to the device together."""


@dataclass(frozen=True, eq=False)
class DeviceLoader:
    """Batches as tensors on a device.

    A GPU gets the training pictures once, as bytes, if half of its free memory holds them, and
    gathers its batches from there; else every batch is copied from pinned memory while the step
    before it runs.
    """

    batches: Batches
    device: torch.device
    rows: np.ndarray
    """The resident rows of the store, ascending."""
    pictures: Tensor | None
    """uint8 [len(rows), S, S, 3] on the device, or None where batches are copied."""
    labels: Tensor | None

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures uint8 [B, S, S, 3] and labels int64 [B] from `first_step` of an epoch on."""
        if self.pictures is None or self.labels is None:
            for pixels, labels in self.batches.epoch(epoch, first_step):
                yield self._moved(pixels), self._moved(labels)
            return
        places = np.searchsorted(self.rows, self.batches.order(epoch))
        order = torch.from_numpy(places).to(self.device)
        size = self.batches.batch_size
        for step in range(first_step, self.batches.steps_per_epoch):
            chosen = order[step * size : (step + 1) * size]
            yield self.pictures[chosen], self.labels[chosen]

    def _moved(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def feed(batches: Batches, device: torch.device) -> DeviceLoader:
    """The batches on a device: resident where they fit into a GPU, else copied."""
    size = math.prod(batches.store.image_shape) * len(batches.rows)
    is_resident = device.type == "cuda" and size <= (
        RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
    )
    return resident(batches, device) if is_resident else copied(batches, device)


def copied(batches: Batches, device: torch.device) -> DeviceLoader:
    """Every batch is copied when it is wanted."""
    return DeviceLoader(batches, device, np.zeros(0, np.int64), None, None)


def resident(batches: Batches, device: torch.device) -> DeviceLoader:
    """All training pictures are copied now, in the store's order, each byte read once."""
    rows, store = np.sort(batches.rows), batches.store
    pictures = torch.empty((len(rows), *store.image_shape), dtype=torch.uint8, device=device)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        pictures[start : start + len(chunk)] = torch.from_numpy(store.images(chunk)).to(device)
    return DeviceLoader(
        batches, device, rows, pictures, torch.from_numpy(store.labels[rows]).to(device)
    )
