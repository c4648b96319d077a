"""Transposed convolutions are adjoints, and pooled values return to their positions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.models.layers import Conv, Pool
from alexnet.pretraining.decoding import (
    conv2d,
    conv_transpose2d,
    crop_to_coverage,
    pool_with_indices,
    spatial_size,
    unpool,
)

CONVS = st.builds(
    Conv,
    name=st.just("conv1"),
    channels=st.sampled_from([2, 6]),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    extra_padding=st.integers(0, 3),
    groups=st.sampled_from([1, 2]),
)


@settings(max_examples=25)
@given(CONVS, st.integers(5, 9), st.integers(5, 9))
def test_the_transposed_convolution_is_the_adjoint(layer: Conv, height: int, width: int) -> None:
    """For random x and y, the sums of conv2d(x) * y and of x * conv_transpose2d(y) are equal."""
    torch.manual_seed(0)
    x = crop_to_coverage(torch.randn(2, 4, height, width).double(), layer)
    weight = torch.randn(layer.channels, 4 // layer.groups, layer.kernel, layer.kernel).double()
    convolved = conv2d(x, weight, None, layer)
    y = torch.randn_like(convolved)
    transposed = conv_transpose2d(y, weight, layer, spatial_size(x))
    assert transposed.shape == x.shape
    torch.testing.assert_close((convolved * y).sum(), (x * transposed).sum())


@settings(max_examples=25)
@given(CONVS, st.integers(5, 9))
def test_what_is_not_covered_changes_nothing(layer: Conv, side: int) -> None:
    x = torch.randn(1, 4, side, side)
    weight = torch.ones(layer.channels, 4 // layer.groups, layer.kernel, layer.kernel)
    whole = conv2d(x, weight, None, layer)
    cropped = conv2d(crop_to_coverage(x, layer), weight, None, layer)
    torch.testing.assert_close(cropped, whole)


@pytest.mark.parametrize(
    ("side", "layer", "covered"),
    [
        (128, Conv("conv1", 4, 11, stride=4), 127),
        (227, Conv("conv1", 4, 11, stride=4), 227),
        (224, Conv("conv1", 4, 11, stride=4, extra_padding=3), 224),
        (27, Conv("conv2", 4, 5, padding=2), 27),
    ],
)
def test_coverage_by_hand(side: int, layer: Conv, covered: int) -> None:
    cropped = crop_to_coverage(torch.zeros(1, 2, side, side), layer)
    assert cropped.shape == (1, 2, covered, covered)


def plane(*rows: list[float]) -> Tensor:
    """[1, 1, h, w]."""
    return torch.tensor(rows)[None, None]


def test_maxima_return_to_their_positions_by_hand() -> None:
    """Windows 3 with stride 2: the 9 in the middle is the maximum of all four windows."""
    x = plane([1, 2, 3, 4, 5], [0, 0, 0, 0, 0], [0, 0, 9, 0, 0], [0, 0, 0, 0, 0], [7, 0, 0, 0, 8])
    pool = Pool("pool1")
    maxima, indices = pool_with_indices(x, pool)
    assert maxima[0, 0].tolist() == [[9, 9], [9, 9]]
    unpooled = unpool(plane([1, 2], [3, 6]), indices, pool, (5, 5))
    assert unpooled.sum() == 3
    assert unpooled[0, 0, 2, 2] == 3  # the mean of 1, 2, 3 and 6


def test_everything_but_the_maxima_is_zero() -> None:
    torch.manual_seed(0)
    x, pool = torch.randn(2, 3, 9, 9), Pool("pool1", ceil=True)
    maxima, indices = pool_with_indices(x, pool)
    unpooled = unpool(maxima, indices, pool, (9, 9))
    is_max = unpooled != 0
    assert torch.equal(unpooled[is_max], x[is_max])
    assert int(is_max.sum()) == sum(len(i.unique()) for i in indices.flatten(0, 1))


def test_averages_fill_their_windows_by_hand() -> None:
    """2 x 2 windows without overlap; the fifth row and column are in no window."""
    pool = Pool("pool1", 2, 2, reduce="average")
    averages, indices = pool_with_indices(torch.arange(25.0).view(1, 1, 5, 5), pool)
    assert averages[0, 0].tolist() == [[3, 5], [13, 15]]
    unpooled = unpool(averages, indices, pool, (5, 5))[0, 0]
    assert unpooled[:4, :4].tolist() == [[3, 3, 5, 5]] * 2 + [[13, 13, 15, 15]] * 2
    assert unpooled[4].tolist() == unpooled[:, 4].tolist() == [0] * 5


def test_overlapping_averages_are_averaged() -> None:
    pool = Pool("pool1", 3, 2, ceil=True, reduce="average")
    unpooled = unpool(plane([1, 3], [5, 7]), torch.empty(0), pool, (4, 4))[0, 0]
    assert unpooled.tolist() == [[1, 1, 2, 3], [1, 1, 2, 3], [3, 3, 4, 5], [5, 5, 6, 7]]
