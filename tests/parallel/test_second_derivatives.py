"""Second derivatives through exchanges: of a sum over all processes; elsewhere a clear error."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, distributed

from alexnet.parallel import batch_norm, exchange, rounds
from support.kernels import randn

EXCHANGES = [
    exchange._Gather,
    exchange._Sum,
    exchange._GatherReplicated,
    exchange._Turn,
    rounds._Divide,
    rounds._Arrive,
]


def test_those_of_a_sum_over_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that have the same."""

    def all_reduce(x: Tensor) -> None:
        x.detach().mul_(2)  # autograd does not see it

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    x = randn(3).double().requires_grad_()
    total = batch_norm._SumOverRanks.apply(x)
    (gradient,) = torch.autograd.grad(total.pow(3).sum(), x, create_graph=True)
    torch.testing.assert_close(gradient, 2 * 3 * (2 * x).square())
    (second,) = torch.autograd.grad(gradient.sum(), x)
    torch.testing.assert_close(second, 2 * 2 * 6 * (2 * x))


@pytest.mark.parametrize("function", EXCHANGES, ids=lambda function: function.__name__)
def test_an_exchange_says_that_there_are_none(function: type[torch.autograd.Function]) -> None:
    with pytest.raises(NotImplementedError, match="spread over processes"):
        function.backward(SimpleNamespace(), torch.ones(1))
