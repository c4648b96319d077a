"""Convolutions data parallel, fully connected layers model parallel.

A convolution has few weights and many activations: every process computes its own images, and the
gradients are summed. A fully connected layer has many weights and few activations: every process
has some of its features, for the images of all. In between the activations are exchanged, and the
gradients w.r.t. them on the way back.

Source: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", section
4. All updates are those of one process: the fully connected layers are not updated between rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, distributed

from alexnet.config.distributed import DistributedOptions
from alexnet.errors import ConfigError
from alexnet.models.layers import BatchNorm, FullyConnected
from alexnet.models.network import Network
from alexnet.parallel.exchange import row_route
from alexnet.parallel.network import BatchRows, ParallelNetwork
from alexnet.parallel.plan import Plan, part, plan_for
from alexnet.parallel.rounds import gather_in_rounds
from alexnet.parallel.world import World

HYBRID = DistributedOptions(parallel="hybrid")


class HybridNetwork(ParallelNetwork):
    """One process's part of a hybrid; every process calls it with its own images of a batch.

    Args:
        network: the whole one, the same in all processes.
        world: the processes.
        options: how activations and gradients are exchanged in training: `exchange` as in the
            source's schemes (a), "all", (b), "turns", and (c), "slices".

    Raises:
        ConfigError: the network or the exchange does not fit.
    """

    def __init__(
        self, network: Network, world: World, options: DistributedOptions = HYBRID
    ) -> None:
        plan = plan_for(network.architecture, "hybrid", world.size)
        if options.exchange != "all":
            check_rounds(plan)
        super().__init__(network, plan, world)
        self.options = options

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, num_classes] of this process's images [n, C, H, W].

        Raises:
            ArchitectureError: the images do not have the architecture's input shape.
        """
        self._check(images)
        self.forget_masks()
        rows, first = self._agree_on_rows(len(images)), first_connected(self.plan)
        convolutions, connected = self.plan.layers[:first], self.plan.layers[first:]
        x = self.run_layers(convolutions, images, rows)
        if self.options.exchange == "all" or not self.training:
            return self.run_layers(connected, x, rows)
        connected = (replace(connected[0], before=None), *connected[1:])
        rounds = list(self._rounds(rows))
        name = connected[0].info.layer.name
        routes = [row_route(name, one.sizes, self.meter) for one in rounds]
        gathered = zip(gather_in_rounds(x, routes), rounds, strict=True)
        return torch.cat([self.run_layers(connected, part, one) for part, one in gathered])

    def _agree_on_rows(self, count: int) -> BatchRows:
        """The rows of every process, agreed on in one exchange."""
        rank, size = self.world.rank, self.world.size
        own, batch_size = self.batch or (slice(0, count), 0)
        numbers = [0] * (2 * size)
        numbers[rank], numbers[size + rank] = own.start, own.stop
        numbers = list(self.world.max_over_ranks(*numbers))
        rows = tuple(map(range, numbers[:size], numbers[size:]))
        if self.batch is None:  # each process's images follow those of the one before
            ends = [sum(numbers[size : size + rank + 1]) for rank in range(size)]
            rows = tuple(map(range, [0, *ends], ends))
        return BatchRows(batch_size or sum(map(len, rows)), rows)

    def _rounds(self, rows: BatchRows) -> Iterator[BatchRows]:
        """The rows of every round."""
        for turn in range(self.world.size):
            own = (self._round(one, rank, turn) for rank, one in enumerate(rows.of_rank))
            yield BatchRows(rows.batch_size, tuple(own))

    def _round(self, rows: range, rank: int, turn: int) -> range:
        """The part of a process's rows that belongs to a round."""
        if self.options.exchange == "turns":
            return rows if rank == turn else rows[:0]
        own = part(len(rows), self.world.size, turn)
        return rows[own.start : own.stop]

    def sum_gradients(self) -> None:
        """Sum the gradients of parameters that every process has, after the backward pass."""
        gradients = [p.grad for p in self.shared_parameters() if p.grad is not None]
        if not gradients:
            return
        total = torch.cat([gradient.flatten() for gradient in gradients])
        if self.options.gradient_compression == "bf16":
            total = total.to(torch.bfloat16)
        distributed.all_reduce(total)
        self.meter.count_sum(total)
        pieces = torch.split(total, [gradient.numel() for gradient in gradients])
        for gradient, values in zip(gradients, pieces, strict=True):
            gradient.copy_(values.view(gradient.shape))


def first_connected(plan: Plan) -> int:
    """The index of the first fully connected layer."""
    return next(
        place
        for place, planned in enumerate(plan.layers)
        if isinstance(planned.info.layer, FullyConnected)
    )


def check_rounds(plan: Plan) -> None:
    """Reject exchanges in rounds if a batch norm would see only the images of one round.

    Raises:
        ConfigError: names the layer.
    """
    for planned in plan.layers[first_connected(plan) :]:
        if isinstance(planned.info.layer, BatchNorm):
            raise ConfigError(
                f"{planned.info.layer.name} of {plan.architecture.name} is a batch norm behind "
                "the convolutions, which needs all images of a batch at once; use --exchange all"
            )
