"""The way down: the adjoint of every convolution, and pooled values back at their places."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alexnet.models.layers import Conv, Pool
from alexnet.pretraining.decoding import (
    convolved,
    hidden_and_input,
    pooled,
    seen,
    transposed,
    unpooled,
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
def test_transposed_is_the_adjoint(conv: Conv, height: int, width: int) -> None:
    """For random x and y, the sums of convolved(x) y and of x transposed(y) are equal."""
    torch.manual_seed(0)
    x = seen(torch.randn(2, 4, height, width).double(), conv)
    weight = torch.randn(conv.channels, 4 // conv.groups, conv.kernel, conv.kernel).double()
    up = convolved(x, weight, None, conv)
    y = torch.randn_like(up)
    down = transposed(y, weight, conv, hidden_and_input(x))
    assert down.shape == x.shape
    torch.testing.assert_close((up * y).sum(), (x * down).sum())


@settings(max_examples=25)
@given(CONVS, st.integers(5, 9))
def test_what_is_not_seen_changes_nothing(conv: Conv, side: int) -> None:
    x = torch.randn(1, 4, side, side)
    weight = torch.ones(conv.channels, 4 // conv.groups, conv.kernel, conv.kernel)
    whole = convolved(x, weight, None, conv)
    cut = convolved(seen(x, conv), weight, None, conv)
    torch.testing.assert_close(cut, whole)


@pytest.mark.parametrize(
    ("side", "conv", "cut"),
    [
        (128, Conv("conv1", 4, 11, stride=4), 127),
        (227, Conv("conv1", 4, 11, stride=4), 227),
        (224, Conv("conv1", 4, 11, stride=4, extra_padding=3), 224),
        (27, Conv("conv2", 4, 5, padding=2), 27),
    ],
)
def test_seen_by_hand(side: int, conv: Conv, cut: int) -> None:
    assert seen(torch.zeros(1, 2, side, side), conv).shape == (1, 2, cut, cut)


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values)[None, None]


def test_maxima_return_to_their_places_by_hand() -> None:
    """Windows 3 with stride 2: the 9 in the middle wins all four, the mean of which is itself."""
    maps = rows([1, 2, 3, 4, 5], [0, 0, 0, 0, 0], [0, 0, 9, 0, 0], [0, 0, 0, 0, 0], [7, 0, 0, 0, 8])
    pool = Pool("pool1")
    maxima, places = pooled(maps, pool)
    assert maxima[0, 0].tolist() == [[9, 9], [9, 9]]
    back = unpooled(torch.tensor([[[[1.0, 2], [3, 6]]]]), places, pool, (5, 5))
    assert back.sum() == 3
    assert back[0, 0, 2, 2] == 3  # the mean of 1, 2, 3 and 6


def test_what_wins_returns_and_the_rest_is_zero() -> None:
    torch.manual_seed(0)
    maps, pool = torch.randn(2, 3, 9, 9), Pool("pool1", ceil=True)
    maxima, places = pooled(maps, pool)
    back = unpooled(maxima, places, pool, (9, 9))
    won = back != 0
    assert torch.equal(back[won], maps[won])
    assert int(won.sum()) == sum(len(set(p.flatten().tolist())) for p in places.flatten(0, 1))


def test_averages_are_spread_by_hand() -> None:
    """2 x 2 windows without overlap; the fifth row and column are in no window."""
    pool = Pool("pool1", 2, 2, reduce="average")
    values, places = pooled(torch.arange(25.0).view(1, 1, 5, 5), pool)
    assert values[0, 0].tolist() == [[3, 5], [13, 15]]
    back = unpooled(values, places, pool, (5, 5))[0, 0]
    assert back[:4, :4].tolist() == [[3, 3, 5, 5]] * 2 + [[13, 13, 15, 15]] * 2
    assert back[4].tolist() == back[:, 4].tolist() == [0] * 5


def test_overlapping_averages_meet_in_their_mean() -> None:
    pool = Pool("pool1", 3, 2, ceil=True, reduce="average")
    back = unpooled(rows([1, 3], [5, 7]), torch.empty(0), pool, (4, 4))[0, 0]
    assert back.tolist() == [[1, 1, 2, 3], [1, 1, 2, 3], [3, 3, 4, 5], [5, 5, 6, 7]]
