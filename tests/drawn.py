"""What the tests of prepared layers share: drawn numbers, and the kernels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alexnet.kernels import Kernels, kernels

has_kernels = pytest.mark.skipif(kernels() is None, reason="no C compiler here")


def built() -> Kernels:
    found = kernels()
    assert found is not None
    return found


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
