"""Activations gathered in rounds: the next round travels while this one is computed with.

Backward the rounds come in reverse, and the gradients of one travel while those of the next are
computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from alexnet.parallel.exchange import (
    BACKWARD,
    FORWARD,
    Route,
    Transfer,
    check_first_derivative,
)


def gather_in_rounds(x: Tensor, routes: Sequence[Route]) -> Iterator[Tensor]:
    """Gather along the first dimension in rounds; yield what arrives in each.

    Args:
        x: this process's rows [n, ...], those of the first round first.
        routes: of the rounds; each gathers some rows of every process.
    """
    sizes = [len(route.owned[route.rank]) for route in routes]
    sums: list[Transfer | None] = [None] * len(routes)
    pieces = _Divide.apply(x, sizes, routes, sums)  # type: ignore[no-untyped-call]
    transfers = [
        route.start_copy(piece.detach(), FORWARD)
        for route, piece in zip(routes, pieces, strict=True)
    ]
    for place, piece in enumerate(pieces):
        yield _Arrive.apply(piece, routes[place], transfers[place], sums, place)  # type: ignore[no-untyped-call]


class _Divide(torch.autograd.Function):
    """Divides x into rounds; backward it waits for the gradients whose sum `_Arrive` has begun."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, sizes: list[int], routes: Sequence[Route], sums: list[Transfer]
    ) -> tuple[Tensor, ...]:
        ctx.routes, ctx.sums = routes, sums
        return tuple(piece.clone() for piece in torch.split(x, sizes))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        check_first_derivative()
        pairs = zip(ctx.routes, ctx.sums, strict=True)
        return torch.cat([route.finish_sum(sent) for route, sent in pairs]), None, None, None


class _Arrive(torch.autograd.Function):
    """The gathered rows of a round; backward it begins to send the gradients, without waiting."""

    @staticmethod
    def forward(
        ctx: Any,
        piece: Tensor,
        route: Route,
        transfer: Transfer,
        sums: list[Transfer | None],
        place: int,
    ) -> Tensor:
        ctx.route, ctx.sums, ctx.place, ctx.shape = route, sums, place, piece.shape
        return torch.cat(transfer.wait())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        check_first_derivative()
        ctx.sums[ctx.place] = ctx.route.start_sum(grad, BACKWARD)
        unused = grad.new_zeros(()).expand(ctx.shape)
        return unused, None, None, None, None
