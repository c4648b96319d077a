"""What the processes send in a training step, by arithmetic from a plan, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from alexnet.parallel.plan import Exchange, Plan, needed_part, overlap, part, shared_parameters

FLOAT32_BYTES = 4
BF16_BYTES = 2
SUM = "sum gradients"


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """One exchange of a training step, with what one process sends in it."""

    layer: str
    """Name of the layer before or after which the exchange is; "" for the gradients."""
    exchange: str
    """Kind of the exchange, such as "gather rows" or "sum gradients"."""
    numbers: int
    """How many numbers the whole activation has, or how many gradients are summed."""
    forward: int
    """Bytes that the process sends in the forward pass."""
    backward: int
    """Bytes that the process sends in the backward pass."""

    @property
    def is_sum(self) -> bool:
        """Whether the exchange sums gradients of weights."""
        return self.exchange == SUM


def traffic(
    plan: Plan,
    batch_size: int,
    rank: int = 0,
    gradient_bytes: int = FLOAT32_BYTES,
    activation_bytes: int = FLOAT32_BYTES,
) -> list[Traffic]:
    """The exchanges of one step of a network none of whose layers is frozen, in order.

    Batch-norm statistics, flags and the sums of losses and errors are left out.

    A process sends its part of an activation to each of the others. N processes sum the gradients
    of P parameters in a ring, in which each of them sends 2 (N - 1) / N * P numbers.

    Args:
        plan: the network and the processes.
        batch_size: images of all processes together.
        rank: of the process that sends.
        gradient_bytes: of a number, when the gradients of parameters are summed.
        activation_bytes: of a number of an activation.
    """
    steps = [
        _activations(name, exchange, plan.processes, batch_size, rank, activation_bytes)
        for name, exchange in exchanges(plan)
    ]
    if count := shared_parameters(plan):
        sent = 2 * (plan.processes - 1) * count * gradient_bytes // plan.processes
        steps.append(Traffic(layer="", exchange=SUM, numbers=count, forward=0, backward=sent))
    return steps


def exchanges(plan: Plan) -> Iterator[tuple[str, Exchange]]:
    """The exchanges of activations, with the names of their layers."""
    for planned in plan.layers:
        for exchange in (planned.before, planned.after):
            if exchange:
                yield planned.info.layer.name, exchange


def _activations(
    layer: str, exchange: Exchange, processes: int, batch_size: int, rank: int, size: int
) -> Traffic:
    forward, backward = _sent(exchange, processes, batch_size, rank)
    return Traffic(
        layer=layer,
        exchange=exchange.move,
        numbers=batch_size * prod(exchange.shape),
        forward=forward * size,
        backward=backward * size,
    )


def _sent(exchange: Exchange, processes: int, batch_size: int, rank: int) -> tuple[int, int]:
    """The numbers that a process sends in the forward and in the backward pass of an exchange."""
    channels, *sides = exchange.shape
    own_rows = len(part(batch_size, processes, rank))
    own_channels = len(part(channels, processes, rank))
    per_row, per_channel = prod(exchange.shape), batch_size * prod(sides)
    match exchange.move:
        case "gather rows":
            copied, summed = _copied_and_summed(batch_size, own_rows, processes)
            return copied * per_row, summed * per_row
        case "sum to rows":
            copied, summed = _copied_and_summed(batch_size, own_rows, processes)
            return summed * per_row, copied * per_row
        case "gather channels":
            copied, summed = _copied_and_summed(channels, own_channels, processes)
            return copied * per_channel, summed * per_channel
        case "sum to channels":
            copied, summed = _copied_and_summed(channels, own_channels, processes)
            return summed * per_channel, copied * per_channel
        case "gather logits":
            return (processes - 1) * own_channels * per_channel, 0
        case "channels to rows":
            return (batch_size - own_rows) * own_channels, own_rows * (channels - own_channels)
        case "neighbors":
            there, back = _to_neighbors(channels, exchange.reach, processes, rank)
            return there * per_channel, back * per_channel


def _copied_and_summed(length: int, own: int, processes: int) -> tuple[int, int]:
    """The positions that a process sends to copy its part to all, and to sum everyone's parts."""
    return own * (processes - 1), length - own


def _to_neighbors(
    channels: int, reach: tuple[int, int], processes: int, rank: int
) -> tuple[int, int]:
    """The own channels that a process sends to its neighbors, and the neighbors' it sends back."""
    others = [other for other in range(processes) if other != rank]
    own, needed = part(channels, processes, rank), needed_part(channels, processes, rank, reach)
    there = [overlap(own, needed_part(channels, processes, other, reach)) for other in others]
    back = [overlap(needed, part(channels, processes, other)) for other in others]
    return sum(map(len, there)), sum(map(len, back))


def sent_bytes(steps: Iterable[Traffic]) -> int:
    """Bytes that a process sends in a step, forward and backward."""
    return sum(step.forward + step.backward for step in steps)
