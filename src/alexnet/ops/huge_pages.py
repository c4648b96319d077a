"""Tensors on huge pages: Linux finds 2 MB of memory at a time, and not 4 KB.

A layer with one image reads weights that nothing reads again soon. On a virtual machine finding the
memory of a page can take longer than reading it (docs/performance.md).
"""

from __future__ import annotations

import mmap

import torch
from torch import Tensor

PAGE_BYTES = 2 << 20
"""Size of a huge page on x86-64, and on arm64 with small pages of 4 KB, in bytes."""


def on_huge_pages(tensor: Tensor) -> Tensor:
    """A copy of a tensor on huge pages, where the system has them; elsewhere the tensor itself.

    Args:
        tensor: on the CPU and contiguous in some memory format. One of less than a page is returned
            as it is, and so are others.
    """
    size = tensor.numel() * tensor.element_size()
    if tensor.device.type != "cpu" or size < PAGE_BYTES or not _is_dense(tensor):
        return tensor
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return tensor
    try:
        memory = mmap.mmap(-1, size + PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a limit of the process, or a kernel that was built without them
        return tensor
    offset = -torch.frombuffer(memory, dtype=torch.uint8).data_ptr() % PAGE_BYTES
    values = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=offset)
    return values.as_strided(tensor.shape, tensor.stride()).copy_(tensor)


def _is_dense(tensor: Tensor) -> bool:
    """Whether the tensor's values fill its memory without gaps."""
    return tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
