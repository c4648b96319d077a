"""The C kernels for the tests of optimized layers."""

from __future__ import annotations

import pytest

from alexnet.inference.int8 import has_fast_int8
from alexnet.ops.library import KernelLibrary
from support.kernels import built_kernels, has_compiler, is_wanted


@pytest.fixture
def kernels() -> KernelLibrary:
    """The C kernels."""
    if not (has_compiler and is_wanted):
        pytest.skip("no C compiler here")
    return built_kernels()


@pytest.fixture
def int8_kernels(kernels: KernelLibrary) -> KernelLibrary:
    """The kernels on a CPU that has int8 dot products, whether or not it has AMX."""
    if not has_fast_int8(kernels):
        pytest.skip("this CPU has no int8 dot products")
    return kernels
