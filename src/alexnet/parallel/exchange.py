"""Exchanges of activations between processes, through which gradients flow back.

Every exchange is one all-to-all of the pieces that processes need of each other: it takes parts of
any size, sends nothing twice, and works with gloo and NCCL alike. Backward it is the transposed
exchange: what was copied to several processes is summed, and what was summed is copied. Sums are in
the order of the ranks, so that the same number of processes gives the same bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, distributed

from alexnet.parallel.plan import needed_part, overlap, part

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Meter:
    """Counts the bytes that this process sends."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of bytes sent, by (layer, "forward" or "backward"); the layer is "" for gradients of
    weights."""

    @property
    def num_bytes(self) -> int:
        """The number of bytes sent so far."""
        return self.sent.total()

    def count_sum(self, gradients: Tensor) -> None:
        """Count the bytes that a ring all-reduce of N processes sends: 2 (N - 1) / N of all."""
        size = distributed.get_world_size()
        self.sent["", BACKWARD] += 2 * (size - 1) * gradients.nbytes // size


class Transfer:
    """An asynchronous all-to-all exchange, during which this process can compute.

    Args:
        pieces: what each process gets, in the order of the ranks; this process keeps its own.
        shapes: of the pieces that come from each process.
    """

    def __init__(self, pieces: Sequence[Tensor], shapes: Sequence[Sequence[int]]) -> None:
        rank = distributed.get_rank()
        self.own, self.shapes = pieces[rank], shapes
        sent = [_flat(x) if to != rank else _flat(x[:0]) for to, x in enumerate(pieces)]
        sizes = [_num_bytes(shape, self.own.dtype) for shape in shapes]
        sizes[rank] = 0
        self.splits, self.num_bytes = sizes, sum(map(len, sent))
        self.sent = torch.cat(sent)
        self.received = self.sent.new_empty(sum(sizes))
        self.work = distributed.all_to_all_single(
            self.received, self.sent, sizes, [len(x) for x in sent], async_op=True
        )

    def wait(self) -> list[Tensor]:
        """Wait for the pieces of every process and return them, in the order of the ranks."""
        self.work.wait()
        pieces = torch.split(self.received, self.splits)
        rank = distributed.get_rank()
        return [
            self.own if source == rank else _shaped(flat, shape, self.own.dtype)
            for source, (flat, shape) in enumerate(zip(pieces, self.shapes, strict=True))
        ]


def _num_bytes(shape: Sequence[int], dtype: torch.dtype) -> int:
    return torch.Size(shape).numel() * dtype.itemsize


def _flat(x: Tensor) -> Tensor:
    """The bytes of a tensor as uint8; those of feature maps in channels-last order."""
    x = x.permute(0, 2, 3, 1) if x.ndim == 4 else x
    return x.contiguous().view(-1).view(torch.uint8)


def _shaped(flat: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """The inverse of `_flat`: the tensor of this shape and dtype."""
    values = flat.view(dtype)
    if len(shape) != 4:
        return values.view(*shape)
    n, c, h, w = shape
    return values.view(n, h, w, c).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Route:
    """The positions of a dimension that each process has, and those that it needs.

    The positions that a process has follow those of the process before it.
    """

    dim: int
    owned: Sequence[range]
    """The positions that each process has, in the order of the ranks."""
    needed: Sequence[range]
    """The positions that each process needs, in the order of the ranks."""
    layer: str
    meter: Meter

    @property
    def rank(self) -> int:
        """The rank of this process."""
        return distributed.get_rank()

    def copy(self, x: Tensor, direction: str) -> Tensor:
        """The positions that this process needs, gathered from x, which has its own positions."""
        return torch.cat(self.start_copy(x, direction).wait(), self.dim)

    def start_copy(self, x: Tensor, direction: str) -> Transfer:
        """Begin to send the other processes what they need of x; do not wait for their parts."""
        return self._start(x, self.owned, self.needed, direction)

    def sum(self, x: Tensor, direction: str) -> Tensor:
        """The sum over all processes at this process's own positions; x has those it needs."""
        return self.finish_sum(self.start_sum(x, direction))

    def start_sum(self, x: Tensor, direction: str) -> Transfer:
        """Begin to send the other processes the summands that they need; do not wait for theirs."""
        return self._start(x, self.needed, self.owned, direction)

    def _start(
        self, x: Tensor, have: Sequence[range], want: Sequence[range], direction: str
    ) -> Transfer:
        """Begin an exchange in which each process gets the positions of `x` that it wants."""
        own, wanted = have[self.rank], want[self.rank]
        pieces = [_piece(x, self.dim, own, overlap(own, one)) for one in want]
        shapes = [_resized(x, self.dim, len(overlap(one, wanted))) for one in have]
        transfer = Transfer(pieces, shapes)
        self.meter.sent[self.layer, direction] += transfer.num_bytes
        return transfer

    def finish_sum(self, transfer: Transfer) -> Tensor:
        """The sum that `start_sum` has begun, accumulated in at least float32."""
        rank, pieces = self.rank, transfer.wait()
        dtype = pieces[rank].dtype
        total = pieces[rank].to(torch.promote_types(dtype, torch.float32), copy=True)
        for source, piece in enumerate(pieces):
            if source != rank:
                covered = overlap(self.owned[rank], self.needed[source])
                _piece(total, self.dim, self.owned[rank], covered).add_(piece)
        return total.to(dtype)


def _piece(x: Tensor, dim: int, present: range, wanted: range) -> Tensor:
    """The positions `wanted` of a tensor that holds the positions `present` of a dimension."""
    if not wanted:
        return x.narrow(dim, 0, 0)
    return x.narrow(dim, wanted.start - present.start, len(wanted))


def _resized(x: Tensor, dim: int, size: int) -> list[int]:
    return [*x.shape[:dim], size, *x.shape[dim + 1 :]]


def channel_route(
    layer: str, channels: int, processes: int, meter: Meter, reach: tuple[int, int] | None = None
) -> Route:
    """The route for channels or features that are divided among the processes.

    Args:
        layer: for the meter.
        channels: of the whole layer.
        processes: how many have a part.
        meter: counts what is sent.
        reach: channels before and after its own that a process needs; None: all.
    """
    reach = (channels, channels) if reach is None else reach
    owned = [part(channels, processes, rank) for rank in range(processes)]
    needed = [needed_part(channels, processes, rank, reach) for rank in range(processes)]
    return Route(1, owned, needed, layer, meter)


def row_route(layer: str, sizes: Sequence[int], meter: Meter) -> Route:
    """The route for the images of a batch, all of which every process needs.

    Args:
        layer: for the meter.
        sizes: number of images that each process has, in the order of the ranks.
        meter: counts what is sent.
    """
    ends = [sum(sizes[: rank + 1]) for rank in range(len(sizes))]
    owned = [range(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    return Route(0, owned, [range(ends[-1])] * len(sizes), layer, meter)


def gather(x: Tensor, route: Route) -> Tensor:
    """Gather what this process needs from all; backward, gradients are summed at their owners."""
    return _Gather.apply(x, route)  # type: ignore[no-any-return, no-untyped-call]


def sum_parts(x: Tensor, route: Route) -> Tensor:
    """Sum over all processes at this process's own positions; backward, gradients are gathered."""
    return _Sum.apply(x, route)  # type: ignore[no-any-return, no-untyped-call]


def gather_replicated(x: Tensor, route: Route) -> Tensor:
    """As `gather`, for processes that all continue with the same computation.

    Each process takes its part of the gradient, which all have: a sum would be N times as large.
    """
    return _GatherReplicated.apply(x, route)  # type: ignore[no-any-return, no-untyped-call]


def channels_to_rows(x: Tensor, channels: Route, rows: Route) -> Tensor:
    """All channels of this process's images, from its channels of all images."""
    return _Turn.apply(x, channels, rows)  # type: ignore[no-any-return, no-untyped-call]


def check_first_derivative() -> None:
    """Reject second derivatives in a backward pass whose exchanges autograd does not record.

    Raises:
        NotImplementedError: its result is to be differentiated again.
    """
    if torch.is_grad_enabled():
        raise NotImplementedError(
            "no second derivatives (create_graph=True) of a network that is spread over processes"
        )


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, route: Route) -> Tensor:
        ctx.route = route
        return route.copy(x, FORWARD)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        check_first_derivative()
        return ctx.route.sum(grad, BACKWARD), None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, route: Route) -> Tensor:
        ctx.route = route
        return route.sum(x, FORWARD)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        check_first_derivative()
        return ctx.route.copy(grad, BACKWARD), None


class _GatherReplicated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, route: Route) -> Tensor:
        ctx.route = route
        return route.copy(x, FORWARD)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        check_first_derivative()
        route: Route = ctx.route
        own, needed = route.owned[route.rank], route.needed[route.rank]
        return _piece(grad, route.dim, needed, own), None


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, channels: Route, rows: Route) -> Tensor:
        ctx.routes = channels, rows
        return _turn(x, channels, rows, FORWARD)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        check_first_derivative()
        channels, rows = ctx.routes
        return _turn(grad, rows, channels, BACKWARD), None, None


def _turn(x: Tensor, have: Route, want: Route, direction: str) -> Tensor:
    """Exchange so that x is split along the dimension of `want` instead of that of `have`."""
    own = want.owned[want.rank]
    pieces = [x.narrow(want.dim, one.start, len(one)) for one in want.owned]
    shape = _resized(x, want.dim, len(own))
    shapes = [[*shape[: have.dim], len(one), *shape[have.dim + 1 :]] for one in have.owned]
    transfer = Transfer(pieces, shapes)
    have.meter.sent[have.layer, direction] += transfer.num_bytes
    return torch.cat(transfer.wait(), have.dim)
