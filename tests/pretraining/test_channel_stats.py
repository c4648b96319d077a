"""Statistics of batches against those of all images together."""

from __future__ import annotations

import pytest
import torch

from alexnet.pretraining.channel_stats import ChannelStats, mean_squared_error, measure_stats
from alexnet.runtime import device
from support import no_float64
from support.no_float64 import LimitedDevice, LimitedTensor
from support.pretraining import seeded


def test_statistics_are_those_of_all_batches_together() -> None:
    x = torch.randn(9, 3, 5, 4, generator=seeded()) * torch.tensor([1.0, 5, 0])[:, None, None]
    stats = measure_stats([x[:4], x[4:]])
    torch.testing.assert_close(stats.mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(stats.std, x.std((0, 2, 3), correction=0))


def test_the_overall_std_averages_variances_and_is_1_for_constants() -> None:
    stats = ChannelStats(torch.zeros(2), torch.tensor([3.0, 4.0]))
    assert stats.overall_std == pytest.approx((25 / 2) ** 0.5)
    assert measure_stats([torch.ones(2, 1, 3, 3)]).overall_std == 1


def test_squared_error_by_hand() -> None:
    assert mean_squared_error(torch.tensor([1.0, 2]), torch.tensor([1.0, 5])).item() == 4.5


def test_statistics_of_a_device_without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """They end where the batches are."""
    x = torch.randn(9, 3, 5, 4, generator=seeded())
    expected = measure_stats([x[:4], x[4:]])
    monkeypatch.setattr(device, "has_float64", lambda where: where != no_float64.DEVICE)
    with LimitedDevice():
        found = measure_stats([LimitedTensor(x[:4]), LimitedTensor(x[4:])])
        assert isinstance(found.mean, LimitedTensor)
        assert isinstance(found.std, LimitedTensor)
        assert torch.equal(found.mean.cpu(), expected.mean)
        assert torch.equal(found.std.cpu(), expected.std)
