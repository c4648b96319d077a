"""What the tests of prepared layers share: drawn numbers, and the kernels."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from alexnet.ops.library import Kernels, kernels

has_compiler = os.name == "posix" and shutil.which(os.environ.get("CC", "cc")) is not None
is_wanted = os.environ.get("ALEXNET_KERNELS") != "0"
has_kernels = pytest.mark.skipif(not (has_compiler and is_wanted), reason="no C compiler here")


def built() -> Kernels:
    found = kernels()
    assert found is not None, "there is a C compiler, and kernels.c is not built"
    return found


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
