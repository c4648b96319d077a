"""Blocks of pixels by the C kernel are those of torch."""

from __future__ import annotations

import pytest
import torch

from alexnet.ops.pixel_blocks import image_blocks
from support.kernels import needs_kernels, randn, torch_threads, without_kernels

SHAPES = {
    "conv1": ((2, 3, 227, 227), 11, 4, (0, 0)),
    "conv1 of torchvision": ((2, 3, 224, 224), 11, 4, (2, 2)),
    "more padding than a block": ((1, 3, 20, 31), 11, 4, (5, 6)),
    "the last pixels are not read": ((3, 4, 30, 29), 5, 4, (0, 0)),
    "gray": ((1, 1, 32, 33), 8, 4, (0, 1)),
    "an odd stride": ((2, 2, 23, 17), 7, 3, (1, 2)),
    "narrower than a block": ((1, 3, 6, 2), 4, 3, (1, 3)),
}


@needs_kernels
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_kernel_gives_the_same_bits(
    shape: tuple[tuple[int, ...], int, int, tuple[int, int]],
    dtype: torch.dtype,
    memory_format: torch.memory_format,
) -> None:
    size, kernel, side, padding = shape
    x = randn(*size).to(dtype).contiguous(memory_format=memory_format)
    with torch_threads(3):
        found = image_blocks(x, (kernel, kernel), side, padding)
    with without_kernels():
        expected = image_blocks(x, (kernel, kernel), side, padding)
    assert found.shape == expected.shape
    assert torch.equal(found, expected)
    assert found.any()
