"""Winograd's filtering gives the direct sum."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alexnet.inference.winograd import WinogradConv2d, can_use_winograd, transform_weights
from alexnet.models.layers import Conv
from alexnet.models.modules import Conv2d
from alexnet.ops.library import KernelLibrary
from support.kernels import randn


@pytest.mark.parametrize("side", [(6, 6), (13, 13), (5, 9), (3, 3), (7, 4)])
@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "padding", "groups"),
    [
        (32, 16, 3, 1, 1),
        (33, 19, 3, 1, 1),  # not a multiple of the kernel's 16 lanes
        (8, 6, 3, 0, 2),
        (96, 64, 5, 2, 2),
        (20, 12, 5, 2, 4),
        (4, 4, 5, 3, 1),
        (3, 5, 3, 2, 1),
    ],
)
def test_winograd_is_the_direct_sum(
    inputs: int,
    outputs: int,
    kernel: int,
    padding: int,
    groups: int,
    side: tuple[int, int],
    kernels: KernelLibrary,
) -> None:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=padding, groups=groups)
    x = randn(3, inputs, *side)
    with torch.inference_mode():
        found = WinogradConv2d(layer, kernels)(x)
        assert layer.bias is not None
        expected = F.conv2d(
            x.double(), layer.weight.double(), layer.bias.double(), padding=padding, groups=groups
        )
    assert found.shape == expected.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert (found - expected).abs().max() < 2e-5 * expected.abs().max()


@pytest.mark.slow
def test_large_batches_are_computed_in_chunks(kernels: KernelLibrary) -> None:
    conv, x = nn.Conv2d(16, 16, 3, padding=1), randn(7, 16, 9, 9)
    whole = WinogradConv2d(conv, kernels)(x)
    layer = WinogradConv2d(conv, kernels, chunk_bytes=36 * 9 * 32 * 4 * 3)
    assert layer._images_at_a_time(x) == 3
    torch.testing.assert_close(layer(x), whole, rtol=1e-5, atol=1e-6)


def test_a_convolution_without_bias(kernels: KernelLibrary) -> None:
    layer, x = nn.Conv2d(16, 16, 3, bias=False), randn(1, 16, 5, 5)
    torch.testing.assert_close(WinogradConv2d(layer, kernels)(x), layer(x), rtol=1e-4, atol=1e-5)


def test_transformed_weights_by_hand() -> None:
    """A kernel of ones: at 0, 1/4; at 1, -1/6 * 3; at 2, 1/24 * (1 + 2 + 4); at infinity, 1."""
    matrices = transform_weights(torch.ones(1, 1, 3, 3), 1).reshape(6, 6)
    assert matrices[0, 0] == pytest.approx(1 / 16)
    assert matrices[1, 1] == pytest.approx(1 / 4)
    assert matrices[3, 3] == pytest.approx((7 / 24) ** 2)
    assert matrices[5, 5] == 1


def test_which_convolutions_use_winograd() -> None:
    def can_use(**options: object) -> bool:
        layer = Conv("c", **{"channels": 64, "kernel": 3, **options})  # type: ignore[arg-type]
        return can_use_winograd(Conv2d(layer, 64))

    assert can_use()
    assert can_use(kernel=5, padding=2, groups=2)
    assert not can_use(kernel=11)
    assert not can_use(stride=2)
    assert not can_use(groups=4)  # 16 channels a group
    assert not can_use(extra_padding=1)


def test_under_autocast_it_stays_float32(kernels: KernelLibrary) -> None:
    layer, x = nn.Conv2d(32, 32, 3, padding=1), randn(1, 32, 8, 8)
    with torch.inference_mode():
        plain = WinogradConv2d(layer, kernels)(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(WinogradConv2d(layer, kernels)(x), plain)


@pytest.mark.parametrize("shape", [(1, 64, 30, 30), (1, 16, 8, 8), (32, 8, 8)])
def test_inputs_of_another_shape_are_rejected(
    shape: tuple[int, ...], kernels: KernelLibrary
) -> None:
    """The kernels would write outside their tiles."""
    layer = WinogradConv2d(nn.Conv2d(32, 32, 3, padding=1), kernels)
    expected = rf"takes inputs of shape \[N, 32, H, W\], not {re.escape(str(list(shape)))}"
    with pytest.raises(ValueError, match=expected):
        layer(torch.ones(shape))


def test_a_layer_converted_to_another_type_is_rejected(kernels: KernelLibrary) -> None:
    layer = WinogradConv2d(nn.Conv2d(32, 32, 3), kernels).double()
    with pytest.raises(ValueError, match=r"float32, not torch\.float64"):
        layer(randn(1, 32, 8, 8))
