"""Training batches on the training device."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import parent_process

import numpy as np
import torch
from torch import Tensor

from alexnet.data.batches import Batches
from alexnet.reporter import Reporter
from alexnet.training.prefetch import GPUCopies, prefetch

RESERVE_BYTES = 1 << 30
"""Bytes of a GPU's memory that are left for the workspaces of libraries and for memory that torch
cannot use again."""
CHUNK = 1024
"""Images copied to the device at once."""


@dataclass(frozen=True, eq=False)
class DeviceLoader:
    """Batches as tensors on a device.

    If a GPU holds all training images beside what a step needs, they are copied there once as
    uint8, and batches are gathered on the GPU. Otherwise each batch is copied from pinned memory
    while the step before it runs.
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
            yield from self._streamed(epoch, first_step)
            return
        positions = np.searchsorted(self.indices, self.batches.order(epoch))
        order = torch.from_numpy(positions).to(self.device)
        size = self.batches.batch_size
        for step in range(first_step, self.batches.steps_per_epoch):
            batch = order[step * size : (step + 1) * size]
            rows = self.batches.rows
            read = batch if rows is None else batch[torch.from_numpy(rows(len(batch)))]
            yield self.images[read], self.labels[batch]

    def _streamed(self, epoch: int, first_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        batches = self.batches.epoch(epoch, first_step)
        if self.device.type == "cuda":
            yield from prefetch(batches, GPUCopies(self.device))
            return
        for images, labels in batches:
            yield torch.from_numpy(images).to(self.device), torch.from_numpy(labels).to(self.device)


def to_device(
    batches: Batches, device: torch.device, needed_bytes: int, reporter: Reporter
) -> DeviceLoader:
    """The batches on a device: preloaded where they fit into a GPU, else streamed.

    While the environment variable `ALEXNET_PRELOAD` is 0, they are streamed.

    Args:
        batches: of the training.
        device: which the network is on.
        needed_bytes: that training and evaluation will take of it beside what they have taken.
        reporter: told if the images did not fit, though there seemed to be enough memory.
    """
    size_bytes = math.prod(batches.store.image_shape) * len(batches.indices)
    is_wanted = device.type == "cuda" and os.environ.get("ALEXNET_PRELOAD") != "0"
    if not is_wanted or size_bytes > free_bytes(device) - needed_bytes - RESERVE_BYTES:
        return stream(batches, device)
    try:
        return preload(batches, device)
    except torch.OutOfMemoryError:
        pass  # only after this block is the memory free that its error refers to
    torch.cuda.empty_cache()
    reporter.note(
        f"the training images ({size_bytes / 1e9:.1f} GB) do not fit into the memory of {device}, "
        "perhaps because of other processes; each batch is copied there when it is needed"
    )
    return stream(batches, device)


def free_bytes(device: torch.device) -> int:
    """The memory in bytes of a GPU that this process can still use, torch's cached memory included.

    It is half of that in a worker, since others train on the same GPU.
    """
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free if parent_process() is None else free // 2


def stream(batches: Batches, device: torch.device) -> DeviceLoader:
    """A loader that copies each batch when it is used, to a GPU one batch ahead."""
    return DeviceLoader(batches, device, np.zeros(0, np.int64), None, None)


def preload(batches: Batches, device: torch.device, chunk: int = CHUNK) -> DeviceLoader:
    """A loader that copies all training images now, `chunk` at a time, read in the store's order.

    Raises:
        torch.OutOfMemoryError: they do not fit into the memory of the GPU.
    """
    indices, store = np.sort(batches.indices), batches.store
    images = torch.empty((len(indices), *store.image_shape), dtype=torch.uint8, device=device)
    for start in range(0, len(indices), chunk):
        part = indices[start : start + chunk]
        images[start : start + len(part)].copy_(torch.from_numpy(store.images(part)))
    labels = torch.from_numpy(store.labels[indices]).to(device)
    return DeviceLoader(batches, device, indices, images, labels)
