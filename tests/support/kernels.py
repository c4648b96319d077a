"""The C kernels in tests: with them, without them, and random inputs for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from torch import Tensor

from alexnet.ops.library import KernelLibrary, load_kernels

has_compiler = os.name == "posix" and shutil.which(os.environ.get("CC", "cc")) is not None
is_wanted = os.environ.get("ALEXNET_KERNELS") != "0"
needs_kernels = pytest.mark.skipif(not (has_compiler and is_wanted), reason="no C compiler here")


def built_kernels() -> KernelLibrary:
    """The kernels, which must be here where there is a compiler."""
    found = load_kernels()
    assert found is not None, "there is a C compiler, and the kernels are not built"
    return found


@contextmanager
def without_kernels() -> Iterator[None]:
    """Inside, layers compute in torch alone."""
    with mock.patch.dict(os.environ, ALEXNET_KERNELS="0"):
        yield


def randn(*shape: int, seed: int = 0) -> Tensor:
    """Normal random numbers that depend on the seed alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Inside, torch and the kernels use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
