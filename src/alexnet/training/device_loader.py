"""Training batches on the training device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.data.batches import Batches

PRELOAD_FRACTION = 0.5
"""Of a GPU's free memory that the training images may take; the network needs the rest."""
CHUNK = 1024
"""Images copied to the device at once."""


@dataclass(frozen=True, eq=False)
class DeviceLoader:
    """Batches as tensors on a device.

    If half of a GPU's free memory holds all training images, they are copied there once as uint8,
    and batches are gathered on the GPU. Otherwise each batch is copied from pinned memory while
    the step before it runs.
    """

    batches: Batches
    device: torch.device
    indices: np.ndarray
    """Indices in the store of the preloaded images, ascending."""
    images: Tensor | None
    """uint8 [len(indices), S, S, 3] on the device, or None where batches are streamed."""
    labels: Tensor | None

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 [B, S, S, 3] and labels int64 [B] of an epoch from `first_step` on."""
        if self.images is None or self.labels is None:
            for images, labels in self.batches.epoch(epoch, first_step):
                yield self._to_device(images), self._to_device(labels)
            return
        positions = np.searchsorted(self.indices, self.batches.order(epoch))
        order = torch.from_numpy(positions).to(self.device)
        size = self.batches.batch_size
        for step in range(first_step, self.batches.steps_per_epoch):
            batch = order[step * size : (step + 1) * size]
            rows = self.batches.rows
            read = batch if rows is None else batch[torch.from_numpy(rows(len(batch)))]
            yield self.images[read], self.labels[batch]

    def _to_device(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def to_device(batches: Batches, device: torch.device) -> DeviceLoader:
    """The batches on a device: preloaded where they fit into a GPU, else streamed."""
    size_bytes = math.prod(batches.store.image_shape) * len(batches.indices)
    fits = device.type == "cuda" and size_bytes <= (
        PRELOAD_FRACTION * torch.cuda.mem_get_info(device)[0]
    )
    return preload(batches, device) if fits else stream(batches, device)


def stream(batches: Batches, device: torch.device) -> DeviceLoader:
    """Each batch is copied when it is used."""
    return DeviceLoader(batches, device, np.zeros(0, np.int64), None, None)


def preload(batches: Batches, device: torch.device, chunk: int = CHUNK) -> DeviceLoader:
    """All training images are copied now, `chunk` at a time, read in the store's order."""
    indices, store = np.sort(batches.indices), batches.store
    images = torch.empty((len(indices), *store.image_shape), dtype=torch.uint8, device=device)
    for start in range(0, len(indices), chunk):
        part = indices[start : start + chunk]
        images[start : start + len(part)] = torch.from_numpy(store.images(part)).to(device)
    labels = torch.from_numpy(store.labels[indices]).to(device)
    return DeviceLoader(batches, device, indices, images, labels)
